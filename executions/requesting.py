"""Make executions: parameters are checked, the pool is chosen, and nothing is left for later if possible."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from django.db import connection, transaction

from attune_project.language import schemas
from executions.lifecycle import announce
from executions.models import Action, Status

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Rerun:
    """Which execution is run once more, and why, in the words of who asked for it."""

    original_id: int
    reason: str | None = None


@dataclass(frozen=True)
class Wanted:
    """One execution to be made of an action."""

    action: Action
    parameters: Mapping[str, Any]
    trace_id: uuid.UUID
    source_key: str | None = None
    rule_ref: str | None = None
    trigger_ref: str | None = None
    executor_id: int | None = None
    env_vars: Mapping[str, Any] | None = None
    permission_set_refs: Sequence[str] = ()
    worker_pool: str | None = None
    worker_selector: Mapping[str, Any] | None = None
    rerun_of: Rerun | None = None


@dataclass(frozen=True)
class Admission:
    """What became of a wanted execution: its status, the full parameters, and why it failed at once."""

    status: Status
    config: dict[str, Any]
    result: dict[str, Any] | None = None
    reason: str | None = field(default=None)


def admit(wanted: Wanted) -> Admission:
    """Fill in defaults and check the parameters; unfit ones make a run that has `failed`.

    So does a schema that can't be applied: an exception would hold up every execution behind this one.
    """
    try:
        return _admit(wanted)
    except Exception as problem:
        log.exception("parameters could not be checked", action_ref=wanted.action.ref)
        reason = {"": [f"the schema can't be applied ({type(problem).__name__})"]}
        return Admission(Status.FAILED, dict(wanted.parameters), _unfit(reason))


def _admit(wanted: Wanted) -> Admission:
    schema = wanted.action.param_schema
    config = dict(wanted.parameters)
    if not schemas.is_empty(schema):
        config = schemas.with_defaults(schema, config)
        problems = schemas.errors(schema, config)
        if problems:
            return Admission(Status.FAILED, config, _unfit(problems))
    return Admission(
        Status.SCHEDULED, config, reason=f"waiting for a worker in pool {_pool(wanted) or 'default'}"
    )


def _unfit(problems: dict[str, list[str]]) -> dict[str, Any]:
    text = "; ".join(f"{path or 'parameters'}: {', '.join(texts)}" for path, texts in problems.items())
    return {"error": f"Parameters do not fit the action's schema: {text}", "succeeded": False}


def _pool(wanted: Wanted) -> str | None:
    return wanted.worker_pool or wanted.action.worker_pool or None


_INSERT = """
WITH input AS MATERIALIZED (
    SELECT nextval(pg_get_serial_sequence('execution', 'id')) AS id, rows.*
    FROM unnest(%s::text[], %s::text[], %s::text[], %s::bigint[], %s::text[], %s::jsonb[], %s::jsonb[],
                %s::bigint[], %s::text[], %s::text[], %s::jsonb[], %s::jsonb[], %s::text[], %s::jsonb[],
                %s::jsonb[], %s::jsonb[], %s::int[], %s::uuid[], %s::bigint[], %s::text[])
         WITH ORDINALITY AS rows(source_key, rule_ref, trigger_ref, action_id, action_ref, config, env_vars,
                                 executor_id, status, status_reason, result, permission_set_refs, worker_pool,
                                 worker_selector, worker_tolerations, worker_affinity, max_retries, trace_id,
                                 original_execution_id, rerun_reason, place)
), stored AS (
    INSERT INTO execution (id, source_key, rule_ref, trigger_ref, action_id, action_ref, config, env_vars,
                           executor_id, status, status_reason, result, permission_set_refs, worker_pool,
                           worker_selector, worker_tolerations, worker_affinity, max_retries, trace_id,
                           original_execution_id, rerun_reason, retry_reason, created, updated,
                           scheduled_at, finished_at)
    SELECT id, source_key, rule_ref, trigger_ref, action_id, action_ref, config, env_vars,
           executor_id, status, status_reason, result,
           ARRAY(SELECT jsonb_array_elements_text(permission_set_refs)), worker_pool,
           worker_selector, worker_tolerations, worker_affinity, max_retries, trace_id,
           original_execution_id, rerun_reason,
           CASE WHEN original_execution_id IS NOT NULL THEN 'manual_retry' END,
           moment, moment, CASE WHEN status = 'scheduled' THEN moment END,
           CASE WHEN status = 'failed' THEN moment END
    FROM input, clock_timestamp() AS moment ORDER BY place
    ON CONFLICT ON CONSTRAINT execution_source_key_key DO NOTHING
    RETURNING id, status, worker_pool
)
SELECT input.id, stored.status, stored.worker_pool, input.source_key
FROM input LEFT JOIN stored ON stored.id = input.id ORDER BY input.place
"""


def request_executions(wanted: Sequence[Wanted]) -> list[int]:
    """Make many executions in one statement and ring for them; return their ids in order.

    One whose `source_key` exists already is not made again: the id is that of the first.
    """
    if not wanted:
        return []
    columns = list(zip(*(_columns(one) for one in wanted), strict=True))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_INSERT, [list(column) for column in columns])
        rows = cursor.fetchall()
        announce([(row_id, status, pool) for row_id, status, pool, _ in rows if status is not None])
        first = _first_ids([key for _, status, _, key in rows if status is None])
    return [row_id if status is not None else first[key] for row_id, status, _, key in rows]


def _first_ids(keys: list[str]) -> dict[str, int]:
    if not keys:
        return {}
    with connection.cursor() as cursor:
        cursor.execute("SELECT source_key, id FROM execution WHERE source_key = ANY(%s)", [keys])
        return dict(cursor.fetchall())


def _columns(wanted: Wanted) -> tuple[Any, ...]:
    action = wanted.action
    admission = admit(wanted)
    selector = wanted.worker_selector if wanted.worker_selector is not None else action.worker_selector
    return (
        wanted.source_key,
        wanted.rule_ref,
        wanted.trigger_ref,
        action.pk,
        action.ref,
        json.dumps(admission.config),
        None if wanted.env_vars is None else json.dumps(wanted.env_vars),
        wanted.executor_id,
        admission.status,
        admission.reason,
        None if admission.result is None else json.dumps(admission.result),
        json.dumps(list(wanted.permission_set_refs) or action.default_execution_permission_set_refs),
        _pool(wanted),
        json.dumps(selector or {}),
        json.dumps(action.worker_tolerations or []),
        json.dumps(action.worker_affinity or {}),
        action.max_retries,
        str(wanted.trace_id),
        wanted.rerun_of and wanted.rerun_of.original_id,
        wanted.rerun_of and wanted.rerun_of.reason,
    )
