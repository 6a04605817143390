"""The runtime core.node."""

from executions.runners.node.runner import NodeRunner

__all__ = ["NodeRunner"]
