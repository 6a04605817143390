"""The runtime core.native."""

from executions.runners.native.runner import NativeRunner

__all__ = ["NativeRunner"]
