"""requested -> scheduled: what has fallen due, and what a policy lets start.

Whoever admits from a group of a policy holds its lock (executions/policies/groups.py), so that no two
count the same free slot. What is skipped because another holds it is seen by the next look.
"""

from collections.abc import Collection, Iterable
from typing import Any

from django.db import transaction

from attune_project.faults import fault
from executions.lifecycle.announcing import announce, rows_of
from executions.policies import groups
from executions.policies.groups import Key

GROUPS_AT_ONCE = 100
FROM_ONE_GROUP = 100  # a long queue must not hold up the others

_ADMIT = """
WITH picked AS (
    SELECT id FROM execution
    WHERE status = 'requested' AND policy_id IS NULL AND COALESCE(due_at, created) <= clock_timestamp()
      AND NOT EXISTS (SELECT 1 FROM policy_stamp WHERE resolved IS DISTINCT FROM stamp)
    ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
)
UPDATE execution x
SET status = 'scheduled', due_at = NULL, scheduled_at = GREATEST(clock_timestamp(), x.created),
    status_reason = 'waiting for a worker in pool ' || COALESCE(x.worker_pool, 'default'),
    updated = clock_timestamp()
FROM picked WHERE x.id = picked.id
RETURNING x.id, x.status, x.worker_pool
"""
# A stale slot of the same execution (there should be none) is taken over: it must not hold up its group.
_ADMIT_FROM_GROUPS = """
WITH room AS MATERIALIZED (
    SELECT g.id, g.policy_id, g.group_key, moment, fresh,
           LEAST(p.threshold - (SELECT count(*) FROM policy_slot s
                                WHERE s.policy_id = g.policy_id AND s.group_key = g.group_key),
                 CASE WHEN fresh THEN p.rate_limit ELSE p.rate_limit - g.window_count END,
                 %(most)s::bigint) AS free
    FROM policy_group g JOIN policy p ON p.id = g.policy_id AND p.enabled
    CROSS JOIN (SELECT clock_timestamp() AS moment) clock
    CROSS JOIN LATERAL (SELECT g.window_started_at IS NULL OR g.window_started_at
                               <= moment - make_interval(secs => p.rate_seconds) AS fresh) rate
    WHERE g.id = ANY(%(groups)s)
), picked AS MATERIALIZED (
    SELECT next.id, room.id AS group_id FROM room CROSS JOIN LATERAL (
        SELECT x.id FROM execution x
        WHERE x.status = 'requested' AND x.queued_at IS NOT NULL
          AND x.policy_id = room.policy_id AND x.policy_group = room.group_key
        ORDER BY x.policy_id, x.policy_group, x.priority DESC, x.id
        LIMIT GREATEST(room.free, 0) FOR UPDATE SKIP LOCKED
    ) next
), started AS (
    UPDATE execution x
    SET status = 'scheduled', due_at = NULL, queued_at = NULL,
        scheduled_at = GREATEST(clock_timestamp(), x.created),
        status_reason = 'waiting for a worker in pool ' || COALESCE(x.worker_pool, 'default'),
        updated = clock_timestamp()
    FROM picked WHERE x.id = picked.id
    RETURNING x.id, x.status, x.worker_pool, x.policy_id, x.policy_group
), taken AS (
    INSERT INTO policy_slot (policy_id, group_key, execution_id)
    SELECT policy_id, policy_group, id FROM started
    ON CONFLICT (execution_id) DO UPDATE SET policy_id = EXCLUDED.policy_id, group_key = EXCLUDED.group_key
), after AS (
    SELECT room.*, number,
           (SELECT count(*) FROM (
                SELECT 1 FROM execution q
                WHERE q.status = 'requested' AND q.queued_at IS NOT NULL
                  AND q.policy_id = room.policy_id AND q.policy_group = room.group_key
                LIMIT number + 1) more) > number AS waiting
    FROM room CROSS JOIN LATERAL (SELECT count(*) AS number FROM picked WHERE group_id = room.id) counted
), noted AS (
    UPDATE policy_group g
    SET waiting = after.waiting, updated = moment,
        last_admitted_at = CASE WHEN number > 0 THEN moment ELSE g.last_admitted_at END,
        window_started_at = CASE WHEN number > 0 AND fresh THEN moment ELSE g.window_started_at END,
        window_count = CASE WHEN number > 0 AND fresh THEN number ELSE g.window_count + number END
    FROM after WHERE g.id = after.id AND (number > 0 OR g.waiting <> after.waiting)
    RETURNING g.id
)
SELECT (SELECT count(*) FROM noted), started.id, started.status, started.worker_pool, started.policy_id
FROM (SELECT 1) one LEFT JOIN started ON true
"""


def admit(limit: int) -> int:
    """Schedule requested executions that have fallen due, and that no policy holds back.

    After a change of policies nothing is admitted here before all that waits was looked through again.
    """
    with transaction.atomic():
        changed = rows_of(_ADMIT, [limit])
        announce(changed)
        if changed:
            fault("admit.before_commit")
    return len(changed)


def admit_from(group_ids: Collection[int], most: int | None = None) -> tuple[int, list[tuple[Any, ...]]]:
    """Schedule what may start in groups that the caller has locked, at most `most` of each.

    Return how many groups changed, and the executions as (id, status, pool, policy id); rings nothing.
    """
    rows = rows_of(_ADMIT_FROM_GROUPS, {"groups": list(group_ids), "most": most})
    return rows[0][0], [row[1:] for row in rows if row[1] is not None]


def admit_freed(keys: Iterable[Key], count: int) -> int:
    """Schedule what may start in groups of which so many slots were freed; return how much that is."""
    with transaction.atomic():
        groups.hold_off_changes()
        locked = groups.lock_freed(keys)
        started = admit_from(locked, max(count, FROM_ONE_GROUP))[1] if locked else []
        announce(started)
    return len(started)


def admit_waiting(limit: int = GROUPS_AT_ONCE) -> int:
    """Schedule what waits in groups where it may start by now; return how many groups changed."""
    with transaction.atomic():
        groups.hold_off_changes()
        locked = groups.lock_ready(limit)
        changed, started = admit_from(locked, FROM_ONE_GROUP) if locked else (0, [])
        announce(started)
        if started:
            fault("admit.before_commit")
    return changed
