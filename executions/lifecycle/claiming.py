"""scheduled -> running: a worker takes executions under a lease."""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from attune_project.faults import fault
from attune_project.messaging.ring import ring
from attune_project.messaging.topology import EXECUTION_STATUS_CHANGED
from attune_project.packs.places import folder_of
from executions.lifecycle.announcing import rows_of
from executions.runners import BY_SUFFIX


@dataclass(frozen=True)
class Claimant:
    """A worker process as the claim sees it: what it is, and what of all that waits it can run.

    `runtimes` are refs. `requirements` are the `required_worker_runtimes` that it meets, beside the empty
    one, each as JSON. `packs` are those whose files it has, as `ref version`.
    """

    worker_id: int
    pool: str | None = None
    labels: str = "{}"  # JSON
    runtimes: Sequence[str] = ("core.builtin", "core.shell")
    requirements: Sequence[str] = ()
    packs: Sequence[str] = ()


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
    pack_dir: Path | None  # this host's copy
    lacks: str | None = None  # the pack that it should have here, and hasn't
    executor_id: int | None = None
    permission_set_refs: tuple[str, ...] = ()
    has_keys: bool = False  # whether its pack or its action has keys for it


# An action that is gone is nobody's: whoever claims its execution tells.
UNFIT = r"""
    SELECT a.id FROM action a JOIN pack p ON p.id = a.pack_id
    WHERE COALESCE(a.runtime_ref, %(suffixes)s::jsonb ->> substring(a.entrypoint from '^[^\n]*(\.\w+)$'),
                   'core.shell') <> ALL(%(runtimes)s::text[])
       OR (a.required_worker_runtimes <> '{}'
           AND a.required_worker_runtimes <> ALL(%(requirements)s::jsonb[]))
       OR (a.runtime_ref IS DISTINCT FROM 'core.builtin' AND p.storage_path IS NOT NULL
           AND p.ref || ' ' || p.version <> ALL(%(packs)s::text[]))
"""
_BUILTIN = "x.action_id IN (SELECT a.id FROM action a WHERE a.runtime_ref = 'core.builtin'"
# What waits for each kind of slot. The sets of actions are hashed once for a claim; joined, they would
# have the whole backlog sorted each time.
_KINDS = {
    "instant": f"({_BUILTIN} AND a.entrypoint = ANY(%(instants)s::text[]))) IS TRUE",
    "inside": f"({_BUILTIN} AND a.entrypoint <> ALL(%(instants)s::text[]))) IS TRUE",
    "process": f"({_BUILTIN})) IS NOT TRUE",
}
_PICK = """KIND AS (
    SELECT COLUMNS FROM execution x
    WHERE x.status = 'scheduled' AND x.worker_pool IS NOT DISTINCT FROM %(pool)s
      AND COALESCE(x.worker_selector, '{}') <@ %(labels)s::jsonb
      AND NOT (SELECT w.cordoned FROM worker w WHERE w.id = %(worker)s)
      AND WHERE_KIND AND (x.action_id IN (SELECT id FROM unfit)) IS NOT TRUE
    ORDER BY x.id LIMIT %(KIND)s FOR UPDATE OF x SKIP LOCKED
)"""


def _pick(kind: str, columns: str = "x.id") -> str:
    pick = _PICK.replace("WHERE_KIND", _KINDS[kind]).replace("KIND", kind)
    return pick.replace("COLUMNS", columns)


PICK_INSTANT = _pick(
    "instant", "x.id, x.action_id, x.action_ref, x.config, x.env_vars, x.rule_ref, x.trigger_ref, x.trace_id"
)
# What a job must know of its action, as JSON.
ACTION = """jsonb_build_object(
           'pack_ref', a.pack_ref, 'runtime_ref', a.runtime_ref, 'entrypoint', a.entrypoint,
           'parameter_delivery', a.parameter_delivery, 'parameter_format', a.parameter_format,
           'output_format', a.output_format, 'timeout_seconds', a.timeout_seconds,
           'env_allow', a.env_allow, 'limits', a.limits, 'param_schema', a.param_schema,
           'retry_on', a.retry_on)"""


def _statement(*kinds: str) -> str:
    picks = ", ".join(_pick(kind) for kind in kinds)
    every = " UNION ALL ".join(f"SELECT id FROM {kind}" for kind in kinds)  # noqa: S608 (names of our own)
    return f"WITH unfit AS MATERIALIZED ({UNFIT}), {picks}, picked AS ({every}), {_TAKE}".replace(
        "ACTION", ACTION
    )


_TAKE = """claimed AS (
    UPDATE execution x
    SET status = 'running', status_reason = NULL, worker_id = %(worker)s, lease_token = gen_random_uuid(),
        lease_expires_at = clock_timestamp() + make_interval(secs => %(seconds)s),
        started_at = GREATEST(clock_timestamp(), x.scheduled_at), updated = clock_timestamp()
    FROM picked WHERE x.id = picked.id
    RETURNING x.id, x.lease_token, x.action_id, x.action_ref, x.config, x.env_vars, x.rule_ref,
              x.trigger_ref, x.trace_id, x.worker_id, x.started_at, x.executor_id, x.permission_set_refs
), tries AS (
    INSERT INTO attempt (execution_id, number, worker_id, status, started_at)
    SELECT c.id, COALESCE((SELECT max(t.number) FROM attempt t WHERE t.execution_id = c.id), 0) + 1,
           c.worker_id, 'running', c.started_at
    FROM claimed c
    RETURNING execution_id, number
)
SELECT c.id, c.lease_token, c.action_ref, c.config, c.env_vars, c.rule_ref, c.trigger_ref, c.trace_id,
       t.number,
       CASE WHEN a.id IS NOT NULL THEN ACTION END,
       p.ref, p.version, p.storage_path, c.executor_id, c.permission_set_refs, HAS_KEYS
FROM claimed c JOIN tries t ON t.execution_id = c.id
LEFT JOIN action a ON a.id = c.action_id LEFT JOIN pack p ON p.id = a.pack_id
ORDER BY c.id
"""


_BESIDE = f"""
WITH unfit AS MATERIALIZED ({UNFIT})
SELECT x.id FROM execution x
WHERE x.status = 'scheduled' AND x.worker_pool IS NOT DISTINCT FROM %(pool)s
  AND (NOT COALESCE(x.worker_selector, '{{}}') <@ %(labels)s::jsonb
       OR (x.action_id IN (SELECT id FROM unfit)) IS TRUE)
ORDER BY x.id LIMIT %(limit)s
"""  # noqa: S608 (a text of our own)
_WAITING = """
SELECT id FROM execution WHERE status = 'scheduled' AND worker_pool IS NOT DISTINCT FROM %s
ORDER BY id LIMIT %s
"""
# What runs inside a worker reads its parameters only.
_HAS_KEYS = """a.runtime_ref IS DISTINCT FROM 'core.builtin' AND EXISTS (
           SELECT FROM key k WHERE k.owner_pack_id = a.pack_id OR k.owner_action_id = a.id)"""
CLAIM_INSTANT = _statement("instant").replace("HAS_KEYS", "false")
CLAIM_SLOTS = _statement("process", "inside").replace("HAS_KEYS", _HAS_KEYS)


def claim(
    by: Claimant, limit: int, instant: Sequence[str], *, inline: bool, inside: int | None = None
) -> list[Claimed]:
    """Take scheduled executions that the worker can run under a lease, oldest first.

    `instant` names the builtin entrypoints that a worker may run inline, in bulk. With `inline` up to
    `limit` of those are taken; else up to `limit` that run a program, and up to `inside` builtin ones
    that wait (None: as many).
    """
    parameters = {
        **fitness(by), "worker": by.worker_id, "instants": list(instant),
        "seconds": settings.ATTUNE_LEASE_SECONDS,
        "instant": limit, "process": limit, "inside": limit if inside is None else inside,
    }  # fmt: skip
    with transaction.atomic():
        rows = rows_of(CLAIM_INSTANT if inline else CLAIM_SLOTS, parameters)
        if not inline:
            ring(EXECUTION_STATUS_CHANGED, [row[0] for row in rows])
        if rows:
            fault("claim.before_commit")
    return [_claimed(row) for row in rows]


def waiting_in_pool(pool: str | None, limit: int) -> list[int]:
    """Return the oldest executions that wait for a worker of a pool."""
    return [row[0] for row in rows_of(_WAITING, [pool, limit])]


def waiting_beside(by: Claimant, limit: int) -> list[int]:
    """Return the oldest that wait in a worker's pool, and not for it: others have what they need."""
    return [row[0] for row in rows_of(_BESIDE, {**fitness(by), "limit": limit})]


def fitness(by: Claimant) -> dict[str, Any]:
    return {
        "pool": by.pool, "labels": by.labels, "runtimes": list(by.runtimes),
        "requirements": list(by.requirements), "packs": list(by.packs), "suffixes": json.dumps(BY_SUFFIX),
    }  # fmt: skip


def _claimed(row: tuple[Any, ...]) -> Claimed:
    ref, version, storage_path = row[10:13]
    folder = None if ref is None else folder_of(ref, version, storage_path)
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
        pack_dir=folder,
        lacks=f"{ref} {version}" if folder is None and storage_path is not None else None,
        executor_id=row[13],
        permission_set_refs=tuple(row[14]),
        has_keys=row[15],
    )
