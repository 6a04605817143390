"""After a change of policies: each execution that hasn't ended is put under the policy that holds for it now.

What waits moves to its new queue, or is let go; what runs holds its slot there, so that it counts. Nothing
that has started is taken back: a group may hold more than its threshold then, and admits nobody until it
doesn't. Done in batches by the executor's clock, by one executor at a time.
"""

import json
from typing import Any

from django.db import transaction

from executions.lifecycle.announcing import rows_of
from executions.policies import groups, table
from executions.policies.queues import Queue, queue_of
from executions.policies.table import Table

_OWED = """
SELECT CASE WHEN resolving = stamp THEN resolved_upto ELSE 0 END FROM policy_stamp
WHERE resolved IS DISTINCT FROM stamp FOR UPDATE SKIP LOCKED
"""
_IS_OWED = "SELECT 1 FROM policy_stamp WHERE resolved IS DISTINCT FROM stamp"
_KINDS = (
    "x.status = 'requested' AND x.policy_id IS NULL",
    "x.status = 'requested' AND x.policy_id IS NOT NULL",
    "x.status = 'scheduled'",
    "x.status IN ('running', 'canceling')",
)
_ALIVE = " UNION ALL ".join(
    f"(SELECT x.id FROM execution x WHERE {kind} AND x.id > %(after)s ORDER BY x.id LIMIT %(limit)s)"  # noqa: S608
    for kind in _KINDS
)
_LOOK = f"""
WITH alive AS (SELECT id FROM ({_ALIVE}) found ORDER BY id LIMIT %(limit)s)
SELECT x.id, x.action_ref, x.policy_id, x.policy_group, x.status_reason, x.queued_at IS NOT NULL,
       (SELECT jsonb_object_agg(name, x.config -> name) FROM unnest(%(names)s::text[]) AS name),
       a.param_schema
FROM alive JOIN execution x ON x.id = alive.id LEFT JOIN action a ON a.id = x.action_id ORDER BY x.id
"""  # noqa: S608
# Rows are locked in the order of their ids, as where attempts end, so that the two can't deadlock.
_MOVE = """
WITH w AS (
    SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::text[])
         AS w(id, was, policy_id, group_key, reason)
), mine AS MATERIALIZED (
    SELECT x.id FROM execution x JOIN w ON w.id = x.id ORDER BY x.id FOR UPDATE OF x
)
UPDATE execution x
SET policy_id = w.policy_id, policy_group = w.group_key, updated = clock_timestamp(),
    queued_at = CASE WHEN x.status = 'requested' AND w.policy_id IS NOT NULL
                     THEN COALESCE(x.queued_at, CASE WHEN x.due_at IS NULL THEN clock_timestamp() END) END,
    status_reason = CASE WHEN x.status = 'requested' AND x.due_at IS NULL THEN w.reason
                         ELSE x.status_reason END
FROM mine JOIN w ON w.id = mine.id
WHERE x.id = mine.id AND x.policy_id IS NOT DISTINCT FROM w.was
  AND x.status IN ('requested', 'scheduled', 'running', 'canceling')
RETURNING x.id, x.status, x.policy_id, x.policy_group
"""
_HOLD = """
INSERT INTO policy_slot (policy_id, group_key, execution_id)
SELECT * FROM unnest(%s::bigint[], %s::text[], %s::bigint[])
ON CONFLICT (execution_id) DO UPDATE SET policy_id = EXCLUDED.policy_id, group_key = EXCLUDED.group_key
"""


def reassign(limit: int) -> int:
    """Look through the next executions after a change of policies; return how many were looked at."""
    if not rows_of(_IS_OWED, []):
        return 0
    with transaction.atomic():
        groups.hold_off_changes()
        owed = rows_of(_OWED, [])
        if not owed:
            return 0  # another executor is at it
        known = table.current()
        names = sorted({name for one in known.by_id.values() for name in one.parameters})
        seen = rows_of(_LOOK, {"after": owed[0][0], "limit": limit, "names": names})
        _move(known, seen)
        _note(known, seen[-1][0] if len(seen) == limit else None)
    return len(seen)


def _move(known: Table, seen: list[tuple[Any, ...]]) -> None:
    wanted = [(row, queue_of(known, row[1], _json(row[6]), _json(row[7]))) for row in seen]
    moving = [(row, queue) for row, queue in wanted if _differs(row, queue)]
    if not moving:
        return
    keys = {(queue.policy.id, queue.key) for _, queue in moving if queue}
    locked = groups.lock_groups(keys)
    columns = zip(*(_target(row, queue) for row, queue in moving), strict=True)
    moved = rows_of(_MOVE, [list(column) for column in columns])
    held = [row for row in moved if row[1] != "requested" and row[2] is not None]
    if held:
        _run(_HOLD, [[row[2] for row in held], [row[3] for row in held], [row[0] for row in held]])
    free = [row[0] for row in moved if row[2] is None]
    if free:
        _run("DELETE FROM policy_slot WHERE execution_id = ANY(%s)", [free])
    if locked:
        _run("UPDATE policy_group SET waiting = true WHERE id = ANY(%s) AND NOT waiting", [locked])


def _differs(row: tuple[Any, ...], queue: Queue | None) -> bool:
    if queue is None:
        return row[2] is not None
    moves = (row[2], row[3]) != (queue.policy.id, queue.key)
    return moves or (bool(row[5]) and row[4] != queue.reason)


def _target(row: tuple[Any, ...], queue: Queue | None) -> tuple[Any, ...]:
    if queue is None:
        return row[0], row[2], None, None, "waiting to be scheduled"
    return row[0], row[2], queue.policy.id, queue.key, queue.reason


def _note(known: Table, upto: int | None) -> None:
    """Note how far this stamp's executions were looked through; None: to the end."""
    _run(
        "UPDATE policy_stamp SET resolving = stamp, resolved_upto = COALESCE(%s, 0), updated = now(),"
        " resolved = CASE WHEN %s::bigint IS NULL THEN stamp ELSE resolved END WHERE stamp = %s",
        [upto, upto, known.stamp],
    )


def _json(value: Any) -> dict[str, Any]:
    return json.loads(value) if isinstance(value, str) else value or {}


def _run(statement: str, parameters: list[Any]) -> None:
    rows_of(f"WITH done AS ({statement} RETURNING 1) SELECT count(*) FROM done", parameters)  # noqa: S608
