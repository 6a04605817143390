"""Every invariant, in the order of the path."""

from attune_project.console.invariants.attempts import ATTEMPTS
from attune_project.console.invariants.enforcements import ENFORCEMENTS
from attune_project.console.invariants.events import EVENTS
from attune_project.console.invariants.executions import EXECUTIONS
from attune_project.console.invariants.policies import POLICIES
from attune_project.console.invariants.schema import SCHEMA

INVARIANTS = (*EVENTS, *ENFORCEMENTS, *EXECUTIONS, *ATTEMPTS, *POLICIES, *SCHEMA)
