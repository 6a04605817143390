"""running, canceling -> completed, failed, timeout, cancelled; or requested, to be tried again."""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from attune_project.faults import fault
from executions import log_chunks
from executions.lifecycle.announcing import announce, rows_of
from executions.lifecycle.freeing import free_slots
from executions.log_chunks import NOTHING_LEFT, Rest


@dataclass(frozen=True)
class Ended:
    """How an attempt ended: one of completed, failed, timeout, cancelled."""

    execution_id: int
    token: uuid.UUID
    status: str
    result: dict[str, Any]
    again: bool = True  # whether the action's `retry_on` wants another attempt, if this one failed
    rest: Rest = NOTHING_LEFT


# Who was asked to stop never goes back to be tried again.
_AGAIN = """(x.status = 'running' AND e.again AND e.status IN ('failed', 'timeout')
    AND x.retry_count < COALESCE(x.max_retries, 0))"""
_FINISH = """
WITH given AS (
    SELECT * FROM unnest(%s::bigint[], %s::uuid[], %s::text[], %s::jsonb[], %s::bool[], %s::int[], %s::text[])
         AS given(id, token, status, result, again, attempt, in_log)
), ended AS MATERIALIZED (
    SELECT g.id, g.token, g.status, g.again, CASE WHEN g.in_log = '' THEN g.result ELSE g.result || COALESCE((
        SELECT jsonb_object_agg(log.stream, log.text) FROM (
            SELECT c.stream, convert_from(string_agg(c.content, ''::bytea ORDER BY c.start), 'UTF8') AS text
            FROM log_chunk c
            WHERE c.execution_id = g.id AND c.attempt = g.attempt
              AND c.stream = ANY(string_to_array(g.in_log, ','))
            GROUP BY c.stream) log), '{}') END AS result
    FROM given g
), held AS MATERIALIZED (
    SELECT x.id FROM execution x JOIN given g ON g.id = x.id
    WHERE x.lease_token = g.token AND x.status IN ('running', 'canceling') ORDER BY x.id FOR UPDATE OF x
), done AS (
    UPDATE execution x
    SET status = CASE WHEN again.yes THEN 'requested' WHEN x.status = 'canceling' THEN 'cancelled'
                      ELSE e.status END,
        status_reason = CASE WHEN again.yes THEN
            'waiting to be tried again (' || (x.retry_count + 1) || ' of ' || x.max_retries || ')' END,
        result = CASE WHEN again.yes THEN NULL
                      WHEN x.status = 'canceling' AND e.status = 'completed' THEN e.result ||
                          '{"succeeded": false, "error": "Cancelled: the action ended before it was stopped"}'
                      ELSE e.result END,
        retry_count = x.retry_count + again.yes::int,
        retry_reason = CASE WHEN NOT again.yes THEN x.retry_reason
                            WHEN e.status = 'timeout' THEN 'timeout' ELSE 'transient_error' END,
        due_at = CASE WHEN again.yes THEN clock_timestamp() + make_interval(secs =>
            LEAST(300, LEAST(300, power(2, LEAST(x.retry_count, 20))) * (0.8 + 0.4 * random()))) END,
        scheduled_at = CASE WHEN again.yes THEN NULL ELSE x.scheduled_at END,
        started_at = CASE WHEN again.yes THEN NULL ELSE x.started_at END,
        finished_at = CASE WHEN again.yes THEN NULL ELSE GREATEST(clock_timestamp(), x.started_at) END,
        lease_token = NULL, lease_expires_at = NULL, updated = clock_timestamp()
    FROM held h JOIN ended e ON e.id = h.id
    WHERE x.id = h.id AND x.lease_token = e.token AND x.status IN ('running', 'canceling')
    RETURNING x.id, x.status, x.worker_pool, x.policy_id, e.token
), tries AS (
    UPDATE attempt t
    SET status = e.status, result = CASE WHEN d.status = 'requested' THEN e.result END,
        finished_at = GREATEST(clock_timestamp(), t.started_at), updated = clock_timestamp()
    FROM done d JOIN ended e ON e.token = d.token
    WHERE t.execution_id = d.id AND t.finished_at IS NULL
)
SELECT id, status, worker_pool, policy_id FROM done
""".replace("again.yes", _AGAIN)


def finish(ended: Sequence[Ended]) -> list[int]:
    """Store the ends of attempts, each only under its own lease; return the ids that were taken.

    A failed or timed-out attempt with retries left, that is to be tried again, goes back to `requested`
    with a `due_at` (1 s doubling to 300 s, 20 % jitter); only the last attempt's end is terminal. One
    that was being cancelled ends `cancelled`, however its attempt ended.
    """
    if not ended:
        return []
    columns: list[list[Any]] = [
        [end.execution_id for end in ended],
        [end.token for end in ended],
        [end.status for end in ended],
        [json.dumps(end.result) for end in ended],
        [end.again for end in ended],
        [end.rest.attempt for end in ended],
        [",".join(end.rest.in_log) for end in ended],
    ]
    with transaction.atomic():
        log_chunks.store([piece for end in ended for piece in end.rest.pieces])
        changed = rows_of(_FINISH, columns)
        free_slots(changed)
        announce(changed)
        fault("result.before_commit")
    fault("result.after_commit")
    return [row[0] for row in changed]
