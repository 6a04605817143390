"""requested, scheduling, scheduled -> cancelled; running -> canceling."""

from django.db import transaction

from executions.lifecycle.announcing import announce, rows_of
from executions.lifecycle.freeing import free_slots

_CANCEL = """
UPDATE execution x
SET status = CASE WHEN x.status IN ('running', 'canceling') THEN 'canceling' ELSE 'cancelled' END,
    status_reason = CASE WHEN x.status IN ('running', 'canceling')
                         THEN 'waiting for the worker to stop the action' END,
    result = CASE WHEN x.status IN ('running', 'canceling') THEN x.result
                  ELSE '{"error": "Cancelled before start"}'::jsonb END,
    finished_at = CASE WHEN x.status IN ('running', 'canceling') THEN NULL
                       ELSE GREATEST(clock_timestamp(), x.scheduled_at, x.created) END,
    cancelled_by_id = CASE WHEN x.status = 'canceling' THEN x.cancelled_by_id ELSE %s END,
    cancel_reason = CASE WHEN x.status = 'canceling' THEN x.cancel_reason ELSE %s END,
    due_at = NULL, queued_at = NULL, updated = clock_timestamp()
WHERE x.id = %s AND x.status IN ('requested', 'scheduling', 'scheduled', 'running', 'canceling')
RETURNING x.id, x.status, x.worker_pool, x.policy_id
"""


def cancel(execution_id: int, by: int | None = None, reason: str | None = None) -> str | None:
    """Cancel before the start, or ask the worker to stop; None when it had already ended.

    `by` is the identity that asked, `reason` in its words: of several that ask, the first is kept.
    """
    with transaction.atomic():
        changed = rows_of(_CANCEL, [by, reason, execution_id])
        free_slots(changed)
        announce(changed)
    return changed[0][1] if changed else None
