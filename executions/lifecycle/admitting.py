"""requested -> scheduled: what has fallen due."""

from django.db import transaction

from executions.lifecycle.announcing import announce, rows_of

_ADMIT = """
WITH picked AS (
    SELECT id FROM execution
    WHERE status = 'requested' AND COALESCE(due_at, created) <= clock_timestamp()
    ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
)
UPDATE execution x
SET status = 'scheduled', due_at = NULL, scheduled_at = GREATEST(clock_timestamp(), x.created),
    status_reason = 'waiting for a worker in pool ' || COALESCE(x.worker_pool, 'default'),
    updated = clock_timestamp()
FROM picked WHERE x.id = picked.id
RETURNING x.id, x.status, x.worker_pool
"""


def admit(limit: int) -> int:
    """Schedule requested executions that have fallen due (their parameters were checked when made)."""
    with transaction.atomic():
        changed = rows_of(_ADMIT, [limit])
        announce(changed)
    return len(changed)
