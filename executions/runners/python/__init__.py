"""The runtime core.python."""

from executions.runners.python.runner import PythonRunner

__all__ = ["PythonRunner"]
