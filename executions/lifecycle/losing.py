"""running, canceling -> abandoned, or requested: the worker that held the lease is lost."""

from typing import Any

from django.db import transaction

from attune_project.faults import fault
from executions.lifecycle.announcing import announce, rows_of
from executions.lifecycle.freeing import free_slots
from executions.models import Status
from sensors.alerts import Alert, record_alerts

_EXPIRE = """
WITH lost AS (
    SELECT x.id, x.status AS was,
           x.status = 'running' AND COALESCE(a.idempotent, false)
             AND (SELECT count(*) FROM attempt t WHERE t.execution_id = x.id AND t.status = 'abandoned')
                 < COALESCE(a.lost_worker_retries, 0) AS again,
           w.name AS worker_name, w.cordoned, x.worker_id
    FROM execution x LEFT JOIN action a ON a.id = x.action_id LEFT JOIN worker w ON w.id = x.worker_id
    WHERE x.status IN ('running', 'canceling') AND x.lease_expires_at < clock_timestamp()
    ORDER BY x.id LIMIT %s FOR UPDATE OF x SKIP LOCKED
), done AS (
    UPDATE execution x
    SET status = CASE WHEN l.again THEN 'requested' ELSE 'abandoned' END,
        status_reason = CASE WHEN l.again THEN 'waiting to be tried again: its worker was lost' END,
        retry_reason = CASE WHEN l.again THEN 'worker_unavailable' ELSE x.retry_reason END,
        due_at = CASE WHEN l.again THEN clock_timestamp() END,
        scheduled_at = CASE WHEN l.again THEN NULL ELSE x.scheduled_at END,
        started_at = CASE WHEN l.again THEN NULL ELSE x.started_at END,
        finished_at = CASE WHEN l.again THEN NULL ELSE GREATEST(clock_timestamp(), x.started_at) END,
        result = CASE WHEN l.again THEN NULL ELSE jsonb_build_object(
            'error', 'The worker ' || COALESCE(l.worker_name, '?') || ' was lost while it ran this',
            'abandoned_by', 'lease_expired', 'original_status', l.was,
            'worker', jsonb_build_object('id', l.worker_id, 'name', l.worker_name,
                                         'cordoned', COALESCE(l.cordoned, false))) END,
        lease_token = NULL, lease_expires_at = NULL, updated = clock_timestamp()
    FROM lost l WHERE x.id = l.id
    RETURNING x.id, x.status, x.worker_pool, x.policy_id, x.action_ref, x.trace_id, x.finished_at,
              l.worker_name
), tries AS (
    UPDATE attempt t SET status = 'abandoned', updated = clock_timestamp(),
           finished_at = GREATEST(clock_timestamp(), t.started_at)
    FROM done d WHERE t.execution_id = d.id AND t.finished_at IS NULL
)
SELECT id, status, worker_pool, policy_id, action_ref, trace_id, worker_name FROM done
"""


def expire(limit: int) -> int:
    """Take back executions whose lease has ended: their worker is lost.

    An idempotent action is attempted again, up to `lost_worker_retries` times; any other ends
    `abandoned`. Either way the old token is void, so a worker that comes back changes nothing.
    """
    with transaction.atomic():
        rows = rows_of(_EXPIRE, [limit])
        free_slots(rows)
        announce(rows)
        record_alerts([_lost_alert(row) for row in rows])
        if rows:
            fault("lease.before_expiry")
    return len(rows)


def _lost_alert(row: tuple[Any, ...]) -> Alert:
    row_id, status, _, _, action_ref, trace_id, worker_name = row
    again = status == Status.REQUESTED
    return Alert(
        severity="warning" if again else "critical",
        category="execution",
        failure_type="worker_unavailable",
        component_type="execution",
        component_id=str(row_id),
        component_ref=action_ref,
        summary=f"Execution {row_id} of {action_ref} lost its worker {worker_name}"
        + (" and is tried again" if again else " and was abandoned"),
        correlation_id=f"execution:{row_id}:worker_unavailable",
        trace_id=trace_id,
    )
