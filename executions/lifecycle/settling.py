"""What the end of an execution owes to others."""

from attune_project.faults import fault
from executions.lifecycle.admitting import admit_freed
from executions.lifecycle.announcing import rows_of

_SETTLE = """
WITH picked AS (
    SELECT id FROM execution WHERE finished_at IS NOT NULL AND settled_at IS NULL
    ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
)
UPDATE execution x SET settled_at = GREATEST(clock_timestamp(), x.finished_at)
FROM picked WHERE x.id = picked.id RETURNING x.id, x.policy_id, x.policy_group
"""


def settle(limit: int) -> int:
    """Do what the end of an execution owes to others, and note that it is done.

    Who waited for its slot is let in at once; what this can't (another holds the group, or this process
    is killed here) the executor's clock does.
    """
    settled = rows_of(_SETTLE, [limit])
    freed = [(policy_id, key) for _, policy_id, key in settled if policy_id is not None]
    if settled:
        fault("settle.before_slots")
    if freed:
        admit_freed(freed, len(freed))
    if settled:
        fault("settle.after_slots")
    return len(settled)
