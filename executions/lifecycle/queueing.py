"""The queues of policies: who joins them, and who ends `cancelled` instead of waiting."""

from collections.abc import Collection, Sequence
from typing import Any

from django.db import transaction

from executions.lifecycle.admitting import admit_from
from executions.lifecycle.announcing import announce, rows_of
from executions.policies import groups, table
from executions.policies.queues import Queue

_TRIM = """
WITH queue AS (
    SELECT policy_id, group_key FROM policy_group WHERE id = ANY(%(groups)s)
), waiting AS (
    SELECT x.id, x.policy_id, x.policy_group, x.id = ANY(%(new)s) AS is_new,
           count(*) OVER (PARTITION BY x.policy_id, x.policy_group) AS length,
           max(x.id) OVER (PARTITION BY x.policy_id, x.policy_group) AS newest,
           row_number() OVER (PARTITION BY x.policy_id, x.policy_group, x.id = ANY(%(new)s)
                              ORDER BY x.id DESC) AS from_the_end
    FROM queue q JOIN execution x ON x.policy_id = q.policy_id AND x.policy_group = q.group_key
    WHERE x.status = 'requested' AND x.queued_at IS NOT NULL
), ended AS (
    SELECT w.id, CASE p.method
               WHEN 'coalesce' THEN 'Coalesced into execution ' || w.newest
               WHEN 'cancel' THEN 'Cancelled by policy ' || p.ref || ': no slot was free'
                   || COALESCE(', or its rate of ' || p.rate_limit || ' per '
                               || trim_scale(p.rate_seconds::numeric) || ' s was used up', '')
               ELSE 'Cancelled by policy ' || p.ref || ': its queue of ' || p.max_queue_length || ' was full'
           END || CASE WHEN p.method = 'coalesce' OR w.policy_group = '' THEN ''
                       ELSE ' (group ' || w.policy_group || ')' END AS error
    FROM waiting w JOIN policy p ON p.id = w.policy_id
    WHERE CASE p.method WHEN 'coalesce' THEN w.id <> w.newest
                        WHEN 'cancel' THEN w.is_new
                        ELSE w.is_new AND w.from_the_end <= w.length - p.max_queue_length END
)
UPDATE execution x
SET status = 'cancelled', status_reason = NULL, queued_at = NULL,
    result = jsonb_build_object('error', ended.error, 'succeeded', false),
    finished_at = GREATEST(clock_timestamp(), x.created), updated = clock_timestamp()
FROM ended WHERE x.id = ended.id AND x.status = 'requested'
RETURNING x.id, x.status, x.worker_pool, x.policy_id
"""
_JOINING = """
SELECT DISTINCT due.policy_id, due.policy_group FROM (
    SELECT policy_id, policy_group FROM execution
    WHERE status = 'requested' AND policy_id IS NOT NULL AND queued_at IS NULL
      AND due_at <= statement_timestamp()
    ORDER BY due_at LIMIT %s
) due JOIN policy p ON p.id = due.policy_id AND p.enabled
"""
_JOIN = """
UPDATE execution x SET queued_at = clock_timestamp(), due_at = NULL, status_reason = w.reason,
       updated = clock_timestamp()
FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS w(policy_id, group_key, reason)
WHERE x.status = 'requested' AND x.policy_id = w.policy_id AND x.policy_group = w.group_key
  AND x.policy_id IS NOT NULL AND x.queued_at IS NULL AND x.due_at <= statement_timestamp()
RETURNING x.id
"""
_EXPIRE_WAITING = """
WITH picked AS (
    SELECT late.id, p.ref, p.max_queue_age FROM policy p CROSS JOIN LATERAL (
        SELECT x.id FROM execution x
        WHERE x.status = 'requested' AND x.policy_id = p.id AND x.queued_at IS NOT NULL
          AND x.queued_at < statement_timestamp() - make_interval(secs => p.max_queue_age)
        ORDER BY x.policy_id, x.queued_at LIMIT %s FOR UPDATE SKIP LOCKED
    ) late
    WHERE p.max_queue_age IS NOT NULL AND p.enabled
)
UPDATE execution x
SET status = 'cancelled', status_reason = NULL, queued_at = NULL,
    result = jsonb_build_object('succeeded', false, 'error', 'Cancelled by policy ' || picked.ref
        || ': it waited for more than ' || trim_scale(picked.max_queue_age::numeric) || ' s'),
    finished_at = GREATEST(clock_timestamp(), x.created), updated = clock_timestamp()
FROM picked WHERE x.id = picked.id
RETURNING x.id, x.status, x.worker_pool, x.policy_id
"""


def enqueue(group_ids: Collection[int], made: Sequence[tuple[Any, ...]], *, trim: bool) -> list[Any]:
    """Let what was just made start as far as it may, in groups that the caller has locked.

    `made` are the new executions as (id, status, pool, policy id), with those that stand in a queue as
    `requested`. Return all that changed by it in the same form, others of the same queues too; `trim` says
    that one of the policies ends some of what would wait (method, max_queue_length).
    """
    _, started = admit_from(group_ids)
    new = [row[0] for row in made if row[1] == "requested"]
    ended = rows_of(_TRIM, {"groups": list(group_ids), "new": new}) if trim else []
    return list({row[0]: row for row in (*made, *started, *ended)}.values())


def join_queues(limit: int) -> int:
    """Put what has fallen due (retries) into its policy's queue; return how much that is.

    What was accepted once isn't ended for want of a slot, except that a newer one replaces it (coalesce).
    """
    with transaction.atomic():
        groups.hold_off_changes()
        known = table.current()
        keys = sorted(row for row in rows_of(_JOINING, [limit]) if row[0] in known.by_id)
        if not keys:
            return 0
        locked = groups.lock_groups(keys)
        reasons = [Queue(known.by_id[policy_id], key).reason for policy_id, key in keys]
        joined = rows_of(_JOIN, [[key[0] for key in keys], [key[1] for key in keys], reasons])
        _, started = admit_from(locked)
        ended = rows_of(_TRIM, {"groups": locked, "new": []})
        announce([*started, *ended])
    return len(joined)


def expire_waiting(limit: int) -> int:
    """End what waits in a policy's queue for longer than the policy allows."""
    with transaction.atomic():
        changed = rows_of(_EXPIRE_WAITING, [limit])
        announce(changed)
    return len(changed)
