"""Admin pages of what is done: a module for each thing that has some."""

from executions.admin import (  # noqa: F401 (they register themselves)
    actions,
    artifacts,
    attempts,
    environments,
    executions,
    policies,
)
