"""enforcement -> execution."""

import json
from collections.abc import Sequence
from typing import Any

from django.db import connection, transaction

from executions.models import Action
from executions.requesting import Wanted, request_executions

_CLAIM = """
SELECT n.id, n.rule_ref, n.trigger_ref, n.config, n.trace_id,
       COALESCE(r.enabled, false) AND COALESCE(t.enabled, false), v.definition ->> 'action_ref',
       to_jsonb(r.permission_set_refs), r.owner_identity_id
FROM enforcement n
LEFT JOIN rule r ON r.id = n.rule_id
LEFT JOIN trigger t ON t.ref = n.trigger_ref
LEFT JOIN rule_version v ON v.rule_id = n.rule_id AND v.number = n.rule_version
WHERE n.status = 'created' ORDER BY n.id LIMIT %s FOR UPDATE OF n SKIP LOCKED
"""


def enforce_pending(limit: int) -> int:
    """Make one execution for each enforcement that owes one; return how many were resolved.

    An enforcement whose rule, trigger or action is gone or off by now ends `disabled`. The unique
    `source_key` makes a second execution for one enforcement impossible.
    """
    with transaction.atomic():
        rows = _claim(limit)
        if not rows:
            return 0
        actions = Action.objects.in_bulk({row[6] for row in rows if row[6]}, field_name="ref")
        wanted = [(row[0], _wanted(row, actions[row[6]])) for row in rows if row[5] and row[6] in actions]
        made = request_executions([one for _, one in wanted])
        _resolve([row_id for row_id, _ in wanted], made)
        _disable(sorted({row[0] for row in rows} - {row_id for row_id, _ in wanted}))
    return len(rows)


def _claim(limit: int) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, [limit])
        return list(cursor.fetchall())


def _wanted(row: tuple[Any, ...], action: Action) -> Wanted:
    row_id, rule_ref, trigger_ref, config, trace_id, _, _, permission_sets, owner_id = row
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
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE enforcement n SET status = 'processed', execution_id = made.execution_id,"
            " resolved_at = clock_timestamp(), updated = clock_timestamp()"
            " FROM unnest(%s::bigint[], %s::bigint[]) AS made(id, execution_id)"
            " WHERE n.id = made.id AND n.status = 'created'",
            [list(ids), list(executions)],
        )


def _disable(ids: list[int]) -> None:
    if not ids:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE enforcement SET status = 'disabled', resolved_at = clock_timestamp(),"
            " updated = clock_timestamp() WHERE id = ANY(%s) AND status = 'created'",
            [ids],
        )
