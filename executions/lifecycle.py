"""Every change of an execution's status, and nothing else changes it.

Each function is one statement of compare-and-set: it names the statuses that it may leave, and a
result is taken only with the token of the lease it was worked out under. Times come from the
database's clock at the moment of the row (`clock_timestamp()`), so that created <= scheduled <=
started <= finished <= settled holds across processes. Statuses are written as literals: a bound
parameter can miss the partial index.
"""

import json
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from attune_project.messaging.ring import ring
from attune_project.messaging.topology import (
    EXECUTION_COMPLETED,
    EXECUTION_REQUESTED,
    EXECUTION_STATUS_CHANGED,
)
from executions.models import TERMINAL, Status
from sensors.alerts import Alert, record_alerts


def _rows(statement: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())


def announce(changed: Sequence[tuple[Any, ...]]) -> None:
    """Ring for executions that changed, as (id, new status, pool), once the transaction has committed.

    The steps that wait are rung first, the streams last: each message is confirmed before the next.
    """
    by_pool: dict[str | None, list[int]] = {}
    for row_id, status, pool in changed:
        if status == Status.SCHEDULED:
            by_pool.setdefault(pool, []).append(row_id)
    for pool, ids in by_pool.items():
        ring(EXECUTION_REQUESTED, ids, pool)
    ring(EXECUTION_COMPLETED, [row_id for row_id, status, _ in changed if status in TERMINAL])
    ring(EXECUTION_STATUS_CHANGED, [row_id for row_id, _, _ in changed])


@dataclass(frozen=True)
class Claimant:
    """A worker process as the claim sees it."""

    worker_id: int
    pool: str | None = None
    labels: str = "{}"  # JSON


@dataclass(frozen=True)
class Claimed:
    """An execution under a lease of ours, with what its runner must know."""

    id: int
    token: uuid.UUID
    action_ref: str
    config: dict[str, Any]
    env_vars: dict[str, Any]
    rule_ref: str | None
    trigger_ref: str | None
    trace_id: uuid.UUID
    attempt: int
    action: dict[str, Any] | None  # None: the action is gone
    pack_dir: Path | None


_CLAIM = """
WITH picked AS (
    SELECT x.id FROM execution x
    WHERE x.status = 'scheduled' AND x.worker_pool IS NOT DISTINCT FROM %s
      AND COALESCE(x.worker_selector, '{}') <@ %s::jsonb
      AND NOT (SELECT w.cordoned FROM worker w WHERE w.id = %s)
      AND (x.action_id IN (SELECT a.id FROM action a WHERE a.runtime_ref = 'core.builtin'
                             AND a.entrypoint = ANY(%s))) IS NOT DISTINCT FROM %s
    ORDER BY x.id LIMIT %s FOR UPDATE OF x SKIP LOCKED
), claimed AS (
    UPDATE execution x
    SET status = 'running', status_reason = NULL, worker_id = %s, lease_token = gen_random_uuid(),
        lease_expires_at = clock_timestamp() + make_interval(secs => %s),
        started_at = GREATEST(clock_timestamp(), x.scheduled_at), updated = clock_timestamp()
    FROM picked WHERE x.id = picked.id
    RETURNING x.id, x.lease_token, x.action_id, x.action_ref, x.config, x.env_vars, x.rule_ref,
              x.trigger_ref, x.trace_id, x.worker_id, x.started_at
), tries AS (
    INSERT INTO attempt (execution_id, number, worker_id, status, started_at)
    SELECT c.id, COALESCE((SELECT max(t.number) FROM attempt t WHERE t.execution_id = c.id), 0) + 1,
           c.worker_id, 'running', c.started_at
    FROM claimed c
    RETURNING execution_id, number
)
SELECT c.id, c.lease_token, c.action_ref, c.config, c.env_vars, c.rule_ref, c.trigger_ref, c.trace_id,
       t.number,
       CASE WHEN a.id IS NOT NULL THEN jsonb_build_object(
           'pack_ref', a.pack_ref, 'runtime_ref', a.runtime_ref, 'entrypoint', a.entrypoint,
           'parameter_delivery', a.parameter_delivery, 'parameter_format', a.parameter_format,
           'output_format', a.output_format, 'timeout_seconds', a.timeout_seconds,
           'env_allow', a.env_allow, 'param_schema', a.param_schema) END,
       p.storage_path
FROM claimed c JOIN tries t ON t.execution_id = c.id
LEFT JOIN action a ON a.id = c.action_id LEFT JOIN pack p ON p.id = a.pack_id
ORDER BY c.id
"""


def claim(by: Claimant, limit: int, instant: Sequence[str], *, inline: bool) -> list[Claimed]:
    """Take up to `limit` scheduled executions under a lease, oldest first.

    `instant` names the builtin entrypoints that a worker may run inline, in bulk; `inline` says which
    of the two kinds is wanted.
    """
    seconds = settings.ATTUNE_LEASE_SECONDS
    with transaction.atomic():
        rows = _rows(
            _CLAIM,
            [by.pool, by.labels, by.worker_id, list(instant), inline, limit, by.worker_id, seconds],
        )
        if not inline:
            ring(EXECUTION_STATUS_CHANGED, [row[0] for row in rows])
    return [_claimed(row) for row in rows]


def _claimed(row: tuple[Any, ...]) -> Claimed:
    return Claimed(
        id=row[0],
        token=row[1],
        action_ref=row[2],
        config=json.loads(row[3]),
        env_vars=json.loads(row[4] or "{}"),
        rule_ref=row[5],
        trigger_ref=row[6],
        trace_id=row[7],
        attempt=row[8],
        action=None if row[9] is None else json.loads(row[9]),
        pack_dir=None if row[10] is None else Path(row[10]),
    )


@dataclass(frozen=True)
class Ended:
    """How an attempt ended: one of completed, failed, timeout, cancelled."""

    execution_id: int
    token: uuid.UUID
    status: str
    result: dict[str, Any]


_AGAIN = """(x.status = 'running' AND e.status IN ('failed', 'timeout')
    AND x.retry_count < COALESCE(x.max_retries, 0))"""
_FINISH = """
WITH ended AS (
    SELECT * FROM unnest(%s::bigint[], %s::uuid[], %s::text[], %s::jsonb[])
         AS ended(id, token, status, result)
), done AS (
    UPDATE execution x
    SET status = CASE WHEN again.yes THEN 'requested' ELSE e.status END,
        status_reason = CASE WHEN again.yes THEN
            'waiting to be tried again (' || (x.retry_count + 1) || ' of ' || x.max_retries || ')' END,
        result = CASE WHEN again.yes THEN NULL ELSE e.result END,
        retry_count = x.retry_count + again.yes::int,
        retry_reason = CASE WHEN NOT again.yes THEN x.retry_reason
                            WHEN e.status = 'timeout' THEN 'timeout' ELSE 'transient_error' END,
        due_at = CASE WHEN again.yes THEN clock_timestamp() + make_interval(secs =>
            LEAST(300, power(2, LEAST(x.retry_count, 20))) * (0.8 + 0.4 * random())) END,
        scheduled_at = CASE WHEN again.yes THEN NULL ELSE x.scheduled_at END,
        started_at = CASE WHEN again.yes THEN NULL ELSE x.started_at END,
        finished_at = CASE WHEN again.yes THEN NULL ELSE GREATEST(clock_timestamp(), x.started_at) END,
        lease_token = NULL, lease_expires_at = NULL, updated = clock_timestamp()
    FROM ended e
    WHERE x.id = e.id AND x.lease_token = e.token AND x.status IN ('running', 'canceling')
    RETURNING x.id, x.status, x.worker_pool
), tries AS (
    UPDATE attempt t
    SET status = e.status, result = CASE WHEN d.status = 'requested' THEN e.result END,
        finished_at = GREATEST(clock_timestamp(), t.started_at), updated = clock_timestamp()
    FROM done d JOIN ended e ON e.id = d.id
    WHERE t.execution_id = d.id AND t.finished_at IS NULL
)
SELECT id, status, worker_pool FROM done
""".replace("again.yes", _AGAIN)


def finish(ended: Sequence[Ended]) -> list[int]:
    """Store the ends of attempts, each only under its own lease; return the ids that were taken.

    A failed or timed-out attempt with retries left goes back to `requested` with a `due_at`
    (1 s doubling to 300 s, 20 % jitter); only the last attempt's end is terminal.
    """
    if not ended:
        return []
    columns: list[list[Any]] = [
        [end.execution_id for end in ended],
        [end.token for end in ended],
        [end.status for end in ended],
        [json.dumps(end.result) for end in ended],
    ]
    with transaction.atomic():
        changed = _rows(_FINISH, columns)
        announce(changed)
    return [row[0] for row in changed]


def renew(worker_id: int, tokens: Collection[uuid.UUID]) -> dict[uuid.UUID, str]:
    """Renew the leases that a worker process still works under; return the status of each by its token.

    Only those: a claim whose answer was lost on the way, or an end that could not be stored, would
    otherwise be kept alive by a process that knows nothing of it. Cancels come back as `canceling`.
    """
    if not tokens:
        return {}
    rows = _rows(
        "UPDATE execution SET lease_expires_at = clock_timestamp() + make_interval(secs => %s)"
        " WHERE worker_id = %s AND status IN ('running', 'canceling') AND lease_token = ANY(%s)"
        " RETURNING lease_token, status",
        [settings.ATTUNE_LEASE_SECONDS, worker_id, list(tokens)],
    )
    return dict(rows)


def release(worker_id: int, tokens: Collection[uuid.UUID] | None = None) -> int:
    """End leases of a worker, all of them when it stops: what it ran is treated as a lost worker's."""
    rows = _rows(
        "UPDATE execution SET lease_expires_at = clock_timestamp()"
        " WHERE worker_id = %s AND status IN ('running', 'canceling')"
        " AND (%s::uuid[] IS NULL OR lease_token = ANY(%s::uuid[])) RETURNING id",
        [worker_id, *[None if tokens is None else list(tokens)] * 2],
    )
    return len(rows)


_CANCEL = """
UPDATE execution x
SET status = CASE WHEN x.status IN ('running', 'canceling') THEN 'canceling' ELSE 'cancelled' END,
    status_reason = CASE WHEN x.status IN ('running', 'canceling')
                         THEN 'waiting for the worker to stop the action' END,
    result = CASE WHEN x.status IN ('running', 'canceling') THEN x.result
                  ELSE '{"error": "Cancelled before start"}'::jsonb END,
    finished_at = CASE WHEN x.status IN ('running', 'canceling') THEN NULL
                       ELSE GREATEST(clock_timestamp(), x.scheduled_at, x.created) END,
    due_at = NULL, updated = clock_timestamp()
WHERE x.id = %s AND x.status IN ('requested', 'scheduling', 'scheduled', 'running', 'canceling')
RETURNING x.id, x.status, x.worker_pool
"""


def cancel(execution_id: int) -> str | None:
    """Cancel before the start, or ask the worker to stop; None when it had already ended."""
    with transaction.atomic():
        changed = _rows(_CANCEL, [execution_id])
        announce(changed)
    return changed[0][1] if changed else None


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
        changed = _rows(_ADMIT, [limit])
        announce(changed)
    return len(changed)


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
    RETURNING x.id, x.status, x.worker_pool, x.action_ref, x.trace_id, x.finished_at, l.worker_name
), tries AS (
    UPDATE attempt t SET status = 'abandoned', updated = clock_timestamp(),
           finished_at = GREATEST(clock_timestamp(), t.started_at)
    FROM done d WHERE t.execution_id = d.id AND t.finished_at IS NULL
)
SELECT id, status, worker_pool, action_ref, trace_id, worker_name FROM done
"""


def expire(limit: int) -> int:
    """Take back executions whose lease has ended: their worker is lost.

    An idempotent action is attempted again, up to `lost_worker_retries` times; any other ends
    `abandoned`. Either way the old token is void, so a worker that comes back changes nothing.
    """
    with transaction.atomic():
        rows = _rows(_EXPIRE, [limit])
        announce([(row[0], row[1], row[2]) for row in rows])
        record_alerts([_lost_alert(row) for row in rows])
    return len(rows)


def _lost_alert(row: tuple[Any, ...]) -> Alert:
    row_id, status, _, action_ref, trace_id, worker_name = row
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
RETURNING x.id, x.status, x.worker_pool
"""


def fail_unplaceable(limit: int) -> int:
    """Fail what has been scheduled for long while no worker that matches gave a sign of life.

    Busy workers never count, nor does one that has only just ended: another may be about to start. Who
    calls this must have looked for as long itself, or an outage of the database looks like no worker.
    """
    seconds = settings.ATTUNE_NO_WORKER_SECONDS
    with transaction.atomic():
        changed = _rows(_UNPLACEABLE, [seconds, seconds, limit, f"{seconds:g}"])
        announce(changed)
    return len(changed)


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
    return len(_rows(_SETTLE, [limit]))
