"""The runtime core.shell."""

from executions.runners.shell.runner import ShellRunner

__all__ = ["ShellRunner"]
