"""Give back the slots of policies, in the transaction that ends an attempt or takes it back."""

from collections.abc import Iterable
from typing import Any

from executions.lifecycle.announcing import rows_of
from executions.models import Status

HOLDING = (Status.SCHEDULED, Status.RUNNING, Status.CANCELING)
# A statement of its own: its snapshot is taken after the rows were locked, so that no slot is missed.
# Slots are locked in one order, so that two that free some of the same cannot wait for each other.
_FREE = """
WITH mine AS (
    SELECT id FROM policy_slot WHERE execution_id = ANY(%s) ORDER BY execution_id FOR UPDATE
)
DELETE FROM policy_slot s USING mine WHERE s.id = mine.id RETURNING s.execution_id
"""


def free_slots(changed: Iterable[tuple[Any, ...]]) -> int:
    """Free the slots of executions that have just changed, as (id, new status, pool, policy id, ...).

    Costs nothing when none of them is under a policy. Return how many slots were freed.
    """
    ended = [row[0] for row in changed if row[3] is not None and row[1] not in HOLDING]
    return len(rows_of(_FREE, [ended])) if ended else 0
