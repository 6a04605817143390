"""enforcement -> execution."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from attune_project.faults import fault
from attune_project.messaging.failures import passed_over
from attune_project.statements import rows_of
from executions.models import Action
from executions.requesting import Wanted, request_executions

_ENFORCE = """
WITH owed AS MATERIALIZED (
    SELECT n.id, n.rule_ref, n.trigger_ref, n.config, n.trace_id, n.rule_id, n.rule_version
    FROM enforcement n WHERE n.status = 'created' AND WHICH ORDER BY n.id LIMIT %s FOR UPDATE SKIP LOCKED
), kind AS (
    SELECT DISTINCT rule_id, rule_version, trigger_ref FROM owed
)
SELECT o.id, o.rule_ref, o.trigger_ref, o.config, o.trace_id, o.rule_id, o.rule_version,
       CASE WHEN o.id = (SELECT min(id) FROM owed) THEN (
           SELECT jsonb_agg(jsonb_build_object(
               'of', jsonb_build_array(k.rule_id, k.rule_version, k.trigger_ref),
               'enabled', COALESCE(r.enabled, false) AND COALESCE(t.enabled, false),
               'permission_set_refs', r.permission_set_refs, 'owner_id', r.owner_identity_id,
               'action', CASE WHEN a.id IS NOT NULL THEN jsonb_build_object(
                   'id', a.id, 'ref', a.ref, 'param_schema', a.param_schema, 'max_retries', a.max_retries,
                   'worker_pool', a.worker_pool, 'worker_selector', a.worker_selector,
                   'worker_tolerations', a.worker_tolerations, 'worker_affinity', a.worker_affinity,
                   'default_execution_permission_set_refs', a.default_execution_permission_set_refs) END))
           FROM kind k
           LEFT JOIN rule r ON r.id = k.rule_id
           LEFT JOIN trigger t ON t.ref = k.trigger_ref
           LEFT JOIN rule_version v ON v.rule_id = k.rule_id AND v.number = k.rule_version
           LEFT JOIN action a ON a.ref = v.definition ->> 'action_ref') END
FROM owed o ORDER BY o.id
"""
_CLAIM = _ENFORCE.replace("WHICH", passed_over("enforce", "n.id"))
_CLAIM_ONLY = _ENFORCE.replace("WHICH", "n.id = ANY(%s::bigint[])")


def enforce_pending(limit: int) -> int:
    """Make one execution for each enforcement that owes one; return how many were resolved.

    An enforcement whose rule, trigger or action is gone or off by now ends `disabled`. The unique
    `source_key` makes a second execution for one enforcement impossible. Passes over what this has failed at.
    """
    return _enforce(_CLAIM, [limit])


def enforce_only(ids: list[int]) -> int:
    """Do the same for these enforcements, as far as they owe one; return how many were resolved."""
    return _enforce(_CLAIM_ONLY, [ids, len(ids)])


def _enforce(claim: str, which: list[Any]) -> int:
    with transaction.atomic():
        rows = rows_of(claim, which)
        if not rows:
            return 0
        fault("enforce.claimed")
        kinds = _kinds(rows[0][7])
        wanted = [(row[0], _wanted(row, kind)) for row in rows if (kind := kinds.get((*row[5:7], row[2])))]
        made = request_executions([one for _, one in wanted])
        _resolve([row_id for row_id, _ in wanted], made)
        _disable(sorted({row[0] for row in rows} - {row_id for row_id, _ in wanted}))
        fault("enforce.before_commit")
    fault("enforce.after_commit")
    return len(rows)


@dataclass(frozen=True)
class Kind:
    """What enforcements of one version of a rule have in common."""

    action: Action
    permission_set_refs: Sequence[str]
    owner_id: int | None


def _kinds(text: str) -> dict[tuple[Any, ...], Kind]:
    """Return the kinds that may be enforced by (rule id, its version, trigger ref)."""
    actions: dict[str, Action] = {}
    return {
        tuple(one["of"]): Kind(
            actions.setdefault(one["action"]["ref"], Action(**one["action"])),
            one["permission_set_refs"],
            one["owner_id"],
        )
        for one in json.loads(text)
        if one["enabled"] and one["action"]
    }


def _wanted(row: tuple[Any, ...], kind: Kind) -> Wanted:
    row_id, rule_ref, trigger_ref, config, trace_id = row[:5]
    return Wanted(
        action=kind.action,
        parameters=json.loads(config),
        trace_id=trace_id,
        source_key=f"enforcement:{row_id}",
        rule_ref=rule_ref,
        trigger_ref=trigger_ref,
        executor_id=kind.owner_id,
        permission_set_refs=kind.permission_set_refs,
    )


def _resolve(ids: Sequence[int], executions: Sequence[int]) -> None:
    if not ids:
        return
    rows_of(
        "UPDATE enforcement n SET status = 'processed', execution_id = made.execution_id,"
        " resolved_at = clock_timestamp(), updated = clock_timestamp()"
        " FROM unnest(%s::bigint[], %s::bigint[]) AS made(id, execution_id)"
        " WHERE n.id = made.id AND n.status = 'created'",
        [list(ids), list(executions)],
    )


def _disable(ids: list[int]) -> None:
    if not ids:
        return
    rows_of(
        "UPDATE enforcement SET status = 'disabled', resolved_at = clock_timestamp(),"
        " updated = clock_timestamp() WHERE id = ANY(%s) AND status = 'created'",
        [ids],
    )
