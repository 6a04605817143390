"""enforcement -> execution."""

import json
from collections.abc import Sequence
from typing import Any

from django.db import transaction

from attune_project.statements import rows_of
from executions.models import Action
from executions.requesting import Wanted, request_executions

_CLAIM = """
SELECT n.id, n.rule_ref, n.trigger_ref, n.config, n.trace_id,
       COALESCE(r.enabled, false) AND COALESCE(t.enabled, false), a.ref,
       to_jsonb(r.permission_set_refs), r.owner_identity_id,
       CASE WHEN a.id IS NOT NULL THEN jsonb_build_object(
           'id', a.id, 'ref', a.ref, 'param_schema', a.param_schema, 'max_retries', a.max_retries,
           'worker_pool', a.worker_pool, 'worker_selector', a.worker_selector,
           'worker_tolerations', a.worker_tolerations, 'worker_affinity', a.worker_affinity,
           'default_execution_permission_set_refs', a.default_execution_permission_set_refs) END
FROM enforcement n
LEFT JOIN rule r ON r.id = n.rule_id
LEFT JOIN trigger t ON t.ref = n.trigger_ref
LEFT JOIN rule_version v ON v.rule_id = n.rule_id AND v.number = n.rule_version
LEFT JOIN action a ON a.ref = v.definition ->> 'action_ref'
WHERE n.status = 'created' ORDER BY n.id LIMIT %s FOR UPDATE OF n SKIP LOCKED
"""


def enforce_pending(limit: int) -> int:
    """Make one execution for each enforcement that owes one; return how many were resolved.

    An enforcement whose rule, trigger or action is gone or off by now ends `disabled`. The unique
    `source_key` makes a second execution for one enforcement impossible.
    """
    with transaction.atomic():
        rows = rows_of(_CLAIM, [limit])
        if not rows:
            return 0
        actions = {row[6]: row[9] for row in rows if row[6]}
        made_of = {ref: Action(**json.loads(values)) for ref, values in actions.items()}
        wanted = [(row[0], _wanted(row, made_of[row[6]])) for row in rows if row[5] and row[6]]
        made = request_executions([one for _, one in wanted])
        _resolve([row_id for row_id, _ in wanted], made)
        _disable(sorted({row[0] for row in rows} - {row_id for row_id, _ in wanted}))
    return len(rows)


def _wanted(row: tuple[Any, ...], action: Action) -> Wanted:
    row_id, rule_ref, trigger_ref, config, trace_id, _, _, permission_sets, owner_id, _ = row
    return Wanted(
        action=action,
        parameters=json.loads(config),
        trace_id=trace_id,
        source_key=f"enforcement:{row_id}",
        rule_ref=rule_ref,
        trigger_ref=trigger_ref,
        executor_id=owner_id,
        permission_set_refs=json.loads(permission_sets) if permission_sets else (),
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
