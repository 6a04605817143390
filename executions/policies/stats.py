"""How an action's queue stands."""

from datetime import datetime
from typing import Any, TypedDict

from django.db import connection

from executions.models import Action
from executions.policies import table

# Whoever hasn't ended is found by the partial indexes; the rest of the action's history is only counted.
_STATS = """
WITH alive AS (
    SELECT status, queued_at FROM execution
    WHERE status = 'requested' AND policy_id IS NOT NULL AND action_ref = %(ref)s
    UNION ALL
    SELECT status, queued_at FROM execution
    WHERE status = 'requested' AND policy_id IS NULL AND action_ref = %(ref)s
    UNION ALL
    SELECT status, NULL FROM execution WHERE status = 'scheduled' AND action_ref = %(ref)s
    UNION ALL
    SELECT status, NULL FROM execution WHERE status IN ('running', 'canceling') AND action_ref = %(ref)s
)
SELECT count(*) FILTER (WHERE queued_at IS NOT NULL), count(*) FILTER (WHERE status <> 'requested'),
       min(queued_at), count(*), (SELECT count(*) FROM execution WHERE action_ref = %(ref)s),
       statement_timestamp()
FROM alive
"""


class QueueStats(TypedDict):
    """Times are UTC. `max_concurrent` is the threshold, per group, of the policy that holds; 0: none does.

    The totals count the executions that are kept: all of them, and those that have ended.
    """

    action_id: int
    action_ref: str
    queue_length: int
    active_count: int
    max_concurrent: int
    oldest_enqueued_at: datetime | None
    total_enqueued: int
    total_completed: int
    last_updated: datetime


def queue_stats(action: Action) -> QueueStats:
    policy = table.current().of(action.ref)
    with connection.cursor() as cursor:
        cursor.execute(_STATS, {"ref": action.ref})
        row: tuple[Any, ...] = cursor.fetchone() or ()
    waiting, active, oldest, alive, total, now = row
    return QueueStats(
        action_id=action.pk,
        action_ref=action.ref,
        queue_length=waiting,
        active_count=active,
        max_concurrent=policy.threshold if policy else 0,
        oldest_enqueued_at=oldest,
        total_enqueued=total,
        total_completed=total - alive,
        last_updated=now,
    )
