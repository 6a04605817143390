"""scheduled -> failed: no worker that matches is there."""

from django.conf import settings
from django.db import transaction

from executions.lifecycle.announcing import announce, rows_of
from executions.lifecycle.freeing import free_slots

_UNPLACEABLE = """
WITH picked AS (
    SELECT x.id, x.worker_pool FROM execution x
    WHERE x.status = 'scheduled' AND x.scheduled_at < clock_timestamp() - make_interval(secs => %s)
      AND NOT EXISTS (
          SELECT 1 FROM worker w
          WHERE w.worker_role = 'action' AND w.pool IS NOT DISTINCT FROM x.worker_pool
            AND w.last_heartbeat > clock_timestamp() - make_interval(secs => %s)
            AND COALESCE(x.worker_selector, '{}') <@ COALESCE(w.capabilities -> 'labels', '{}'))
    ORDER BY x.id LIMIT %s FOR UPDATE OF x SKIP LOCKED
)
UPDATE execution x
SET status = 'failed', status_reason = NULL, finished_at = GREATEST(clock_timestamp(), x.scheduled_at),
    result = jsonb_build_object('error', 'no worker: none in pool ' || COALESCE(x.worker_pool, 'default')
        || ' that matches was alive for ' || %s || ' s', 'succeeded', false),
    updated = clock_timestamp()
FROM picked WHERE x.id = picked.id
RETURNING x.id, x.status, x.worker_pool, x.policy_id
"""


def fail_unplaceable(limit: int) -> int:
    """Fail what has been scheduled for long while no worker that matches gave a sign of life.

    Busy workers never count, nor does one that has only just ended: another may be about to start. Who
    calls this must have looked for as long itself, or an outage of the database looks like no worker.
    """
    seconds = settings.ATTUNE_NO_WORKER_SECONDS
    with transaction.atomic():
        changed = rows_of(_UNPLACEABLE, [seconds, seconds, limit, f"{seconds:g}"])
        free_slots(changed)
        announce(changed)
    return len(changed)
