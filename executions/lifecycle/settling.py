"""What the end of an execution owes to others."""

from typing import Any

from attune_project.faults import fault
from attune_project.messaging.failures import passed_over
from executions.lifecycle.admitting import admit_freed
from executions.lifecycle.announcing import rows_of

_TEXT = """
WITH picked AS (
    SELECT id FROM execution WHERE finished_at IS NOT NULL AND settled_at IS NULL AND WHICH
    ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
)
UPDATE execution x SET settled_at = GREATEST(clock_timestamp(), x.finished_at)
FROM picked WHERE x.id = picked.id RETURNING x.id, x.policy_id, x.policy_group
"""
_SETTLE = _TEXT.replace("WHICH", passed_over("settle"))
_SETTLE_ONLY = _TEXT.replace("WHICH", "id = ANY(%s::bigint[])")


def settle(limit: int) -> int:
    """Do what the end of an execution owes to others, and note that it is done.

    Who waited for its slot is let in at once; what this can't (another holds the group, or this process
    is killed here) the executor's clock does. Passes over what settling has failed at.
    """
    return _settle(_SETTLE, [limit])


def settle_only(ids: list[int]) -> int:
    """Do the same for these executions, as far as they have ended; return how many were settled."""
    return _settle(_SETTLE_ONLY, [ids, len(ids)])


def _settle(statement: str, which: list[Any]) -> int:
    settled = rows_of(statement, which)
    freed = [(policy_id, key) for _, policy_id, key in settled if policy_id is not None]
    if settled:
        fault("settle.before_slots")
    if freed:
        admit_freed(freed, len(freed))
    if settled:
        fault("settle.after_slots")
    return len(settled)
