"""Admin pages of what is done: a module for each thing that has some."""

from executions.admin import actions, attempts, executions, policies  # noqa: F401 (they register themselves)
