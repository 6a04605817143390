"""What the end of an execution owes to others."""

from executions.lifecycle.announcing import rows_of

_SETTLE = """
WITH picked AS (
    SELECT id FROM execution WHERE finished_at IS NOT NULL AND settled_at IS NULL
    ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
)
UPDATE execution x SET settled_at = GREATEST(clock_timestamp(), x.finished_at)
FROM picked WHERE x.id = picked.id RETURNING x.id
"""


def settle(limit: int) -> int:
    """Do what the end of an execution owes to others, and note that it is done."""
    return len(rows_of(_SETTLE, [limit]))
