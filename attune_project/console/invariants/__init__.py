"""What must hold of the rows whatever was killed: each promise as a query for the rows that break it."""

from attune_project.console.invariants.checking import Violation, check, violations
from attune_project.console.invariants.every import INVARIANTS
from attune_project.console.invariants.invariant import Invariant

__all__ = ["INVARIANTS", "Invariant", "Violation", "check", "violations"]
