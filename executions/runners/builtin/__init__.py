"""The runtime core.builtin."""

from executions.runners.builtin.runner import BuiltinRunner

__all__ = ["BuiltinRunner"]
