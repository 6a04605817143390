"""scheduled -> running: a worker takes executions under a lease."""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from attune_project.messaging.ring import ring
from attune_project.messaging.topology import EXECUTION_STATUS_CHANGED
from executions.lifecycle.announcing import rows_of


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
           'env_allow', a.env_allow, 'param_schema', a.param_schema, 'retry_on', a.retry_on) END,
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
        rows = rows_of(
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
