"""Make executions: parameters are checked, the pool is chosen, and nothing is left for later if possible."""

import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import structlog
from django.db import transaction

from attune_project.language import schemas
from executions.lifecycle import announce, enqueue
from executions.lifecycle.announcing import rows_of
from executions.models import Action, Status
from executions.policies import groups, table
from executions.policies.queues import Queue, queue_of
from executions.policies.table import Table

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
    priority: int = 0  # among those that wait for the same slots: higher first


@dataclass(frozen=True)
class Admission:
    """What became of a wanted execution: its status, the full parameters, and why it failed at once."""

    status: Status
    config: dict[str, Any]
    result: dict[str, Any] | None = None
    reason: str | None = field(default=None)
    queue: Queue | None = None


class Terms:
    """What all executions of an action have in common: worked out once for many."""

    def __init__(self, action: Action) -> None:
        self._action = action
        self.permission_sets = json.dumps(action.default_execution_permission_set_refs)
        self.selector = json.dumps(action.worker_selector or {})
        self.tolerations = json.dumps(action.worker_tolerations or [])
        self.affinity = json.dumps(action.worker_affinity or {})

    @cached_property
    def _schema(self) -> dict[str, Any] | None:
        schema = self._action.param_schema
        return None if schemas.is_empty(schema) else schemas.shared(schema)

    @cached_property
    def _fitting(self) -> schemas.Fitting:
        return schemas.Fitting(self._action.param_schema or {})

    def check(self, parameters: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, list[str]]]:
        """Return the parameters with their defaults, and by path why they don't fit the action's schema.

        A schema that can't be applied is such a reason, too: an exception would hold up every execution
        behind.
        """
        config = dict(parameters)
        try:
            if self._schema is None:
                return config, {}
            config = schemas.filled(self._schema, config)
            return config, self._fitting.problems(config)
        except Exception as problem:
            log.exception("parameters could not be checked", action_ref=self._action.ref)
            reason = {"": [f"the schema can't be applied ({type(problem).__name__})"]}
            return dict(parameters), reason


def check_parameters(
    action: Action, parameters: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Return what `Terms.check` says."""
    return Terms(action).check(parameters)


def admit(wanted: Wanted, terms: Terms) -> Admission:
    """Fill in defaults and check the parameters; unfit ones make a run that has `failed`."""
    config, problems = terms.check(wanted.parameters)
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
                %s::jsonb[], %s::jsonb[], %s::int[], %s::uuid[], %s::bigint[], %s::text[],
                %s::int[], %s::bigint[], %s::text[])
         WITH ORDINALITY AS rows(source_key, rule_ref, trigger_ref, action_id, action_ref, config, env_vars,
                                 executor_id, status, status_reason, result, permission_set_refs, worker_pool,
                                 worker_selector, worker_tolerations, worker_affinity, max_retries, trace_id,
                                 original_execution_id, rerun_reason, priority, policy_id, policy_group,
                                 place)
    WHERE (SELECT policies_hold(%s::uuid))
), stored AS (
    INSERT INTO execution (id, source_key, rule_ref, trigger_ref, action_id, action_ref, config, env_vars,
                           executor_id, status, status_reason, result, permission_set_refs, worker_pool,
                           worker_selector, worker_tolerations, worker_affinity, max_retries, trace_id,
                           original_execution_id, rerun_reason, priority, policy_id, policy_group,
                           retry_reason, created, updated, scheduled_at, queued_at, finished_at)
    SELECT id, source_key, rule_ref, trigger_ref, action_id, action_ref, config, env_vars,
           executor_id, status, status_reason, result,
           ARRAY(SELECT jsonb_array_elements_text(permission_set_refs)), worker_pool,
           worker_selector, worker_tolerations, worker_affinity, max_retries, trace_id,
           original_execution_id, rerun_reason, priority, policy_id, policy_group,
           CASE WHEN original_execution_id IS NOT NULL THEN 'manual_retry' END,
           moment, moment, CASE WHEN status = 'scheduled' THEN moment END,
           CASE WHEN status = 'requested' THEN moment END,
           CASE WHEN status = 'failed' THEN moment END
    FROM input, clock_timestamp() AS moment ORDER BY place
    ON CONFLICT ON CONSTRAINT execution_source_key_key DO NOTHING
    RETURNING id, status, worker_pool, policy_id
)
SELECT input.id, stored.status, stored.worker_pool, stored.policy_id, input.source_key
FROM input LEFT JOIN stored ON stored.id = input.id ORDER BY input.place
"""


def request_executions(wanted: Sequence[Wanted]) -> list[int]:
    """Make many executions in one statement and ring for them; return their ids in order.

    One whose `source_key` exists already is not made again: the id is that of the first. Those that no
    policy concerns are scheduled in that statement; the others stand in its queues, and start, wait or end
    `cancelled` in the same transaction. Nothing is made by policies that have changed meanwhile, and none
    changes before this is committed: who changes one then sees all that was made by those before.
    """
    if not wanted:
        return []
    terms = _terms(wanted)
    admissions = [admit(*pair) for pair in zip(wanted, terms, strict=True)]
    ids = _make(wanted, terms, admissions, table.cached())
    while ids is None:
        ids = _make(wanted, terms, admissions, table.current())
    return ids


def _terms(wanted: Sequence[Wanted]) -> list[Terms]:
    of_actions: dict[int, Terms] = {}
    for one in wanted:
        if id(one.action) not in of_actions:
            of_actions[id(one.action)] = Terms(one.action)
    return [of_actions[id(one.action)] for one in wanted]


def _make(
    wanted: Sequence[Wanted], terms: Sequence[Terms], admissions: Sequence[Admission], known: Table
) -> list[int] | None:
    """Make executions by these policies; None, and none is made, when they aren't those of now."""
    admitted = [_queued(*pair, known) for pair in zip(wanted, admissions, strict=True)]
    columns = list(zip(*(_columns(*each) for each in zip(wanted, terms, admitted, strict=True)), strict=True))
    queues = {one.queue for one in admitted if one.queue is not None}
    with transaction.atomic(savepoint=False):
        locked = _lock(queues)
        rows = rows_of(_INSERT, [*(list(column) for column in columns), known.stamp])
        if not rows:
            return None
        made = [row[:4] for row in rows if row[1] is not None]
        if locked:
            made = enqueue(locked, made, trim=any(queue.policy.may_trim for queue in queues))
        announce(made)
        first = _first_ids([key for _, status, _, _, key in rows if status is None])
    return [row_id if status is not None else first[key] for row_id, status, _, _, key in rows]


def _queued(wanted: Wanted, admission: Admission, known: Table) -> Admission:
    """Return the admission as the policies have it: one that they concern first stands in a queue."""
    if not known.by_id or admission.status != Status.SCHEDULED:
        return admission
    queue = queue_of(known, wanted.action.ref, admission.config, wanted.action.param_schema)
    if queue is None:
        return admission
    return replace(admission, status=Status.REQUESTED, reason=queue.reason, queue=queue)


def _lock(queues: Collection[Queue]) -> list[int]:
    if not queues:
        return []
    groups.hold_off_changes()
    return groups.lock_groups({(queue.policy.id, queue.key) for queue in queues})


def _first_ids(keys: list[str]) -> dict[str, int]:
    if not keys:
        return {}
    return dict(rows_of("SELECT source_key, id FROM execution WHERE source_key = ANY(%s)", [keys]))


def _columns(wanted: Wanted, terms: Terms, admission: Admission) -> tuple[Any, ...]:
    action, queue = wanted.action, admission.queue
    refs, selector = wanted.permission_set_refs, wanted.worker_selector
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
        json.dumps(list(refs)) if refs else terms.permission_sets,
        _pool(wanted),
        terms.selector if selector is None else json.dumps(selector),
        terms.tolerations,
        terms.affinity,
        action.max_retries,
        str(wanted.trace_id),
        wanted.rerun_of and wanted.rerun_of.original_id,
        wanted.rerun_of and wanted.rerun_of.reason,
        wanted.priority,
        queue and queue.policy.id,
        queue and queue.key,
    )
