"""running -> requested, or canceling -> cancelled: a worker gives back what it claimed and can't begin."""

import uuid

from django.db import transaction

from executions.lifecycle.announcing import announce, rows_of
from executions.lifecycle.freeing import free_slots

# The pause keeps a host that is short of threads from claiming the same again and again.
_HAND_BACK = """
WITH done AS (
    UPDATE execution x
    SET status = CASE WHEN x.status = 'running' THEN 'requested' ELSE 'cancelled' END,
        status_reason = CASE WHEN x.status = 'running' THEN %s END,
        result = CASE WHEN x.status = 'running' THEN NULL
                      ELSE '{"error": "Cancelled before start"}'::jsonb END,
        due_at = CASE WHEN x.status = 'running' THEN clock_timestamp() + interval '1 s' END,
        finished_at = CASE WHEN x.status = 'canceling' THEN GREATEST(clock_timestamp(), x.created) END,
        scheduled_at = NULL, started_at = NULL, worker_id = NULL,
        lease_token = NULL, lease_expires_at = NULL, updated = clock_timestamp()
    WHERE x.id = %s AND x.lease_token = %s AND x.status IN ('running', 'canceling')
    RETURNING x.id, x.status, x.worker_pool, x.policy_id
), tries AS (
    DELETE FROM attempt t USING done d WHERE t.execution_id = d.id AND t.finished_at IS NULL
)
SELECT id, status, worker_pool, policy_id FROM done
"""


def hand_back(execution_id: int, token: uuid.UUID, reason: str) -> bool:
    """Let another claim have an execution of which nothing was begun; whether the lease was still ours.

    It was no attempt, so it counts as none, whether or not the action is idempotent. `reason` says what it
    waits for now.
    """
    with transaction.atomic():
        rows = rows_of(_HAND_BACK, [reason, execution_id, token])
        free_slots(rows)
        announce(rows)
    return bool(rows)
