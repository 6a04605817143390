"""What is scheduled and has no worker yet: why, in words; and, when there was none for long, failed."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import transaction

from attune_project.messaging.ring import ring
from attune_project.messaging.topology import EXECUTION_REQUESTED, EXECUTION_STATUS_CHANGED
from executions.lifecycle.announcing import announce, rows_of
from executions.lifecycle.freeing import free_slots
from executions.placement import Host, Situation, Wish, placeable, situation, waiting_for, wish

EXPLAIN_AFTER = 2.0  # seconds; what is claimed at once needs no explanation
MOST_WAITING = 50_000  # rows that one look goes through, the oldest
MANY = 200  # of one kind: a backlog isn't written all over again only to say that workers are busy

# Executions that wait for the same things are one group.
_GROUPS = """
SELECT g.worker_pool, g.worker_selector, g.action_id, g.waiting, g.reasons,
       CASE WHEN a.id IS NOT NULL THEN jsonb_build_object(
           'runtime_ref', a.runtime_ref, 'entrypoint', a.entrypoint,
           'required_worker_runtimes', a.required_worker_runtimes,
           'pack', CASE WHEN p.storage_path IS NOT NULL THEN p.ref || ' ' || p.version END) END
FROM (
    SELECT worker_pool, worker_selector, action_id, count(*) AS waiting,
           array_agg(DISTINCT status_reason) AS reasons
    FROM (SELECT worker_pool, worker_selector, action_id, status_reason FROM execution
          WHERE status = 'scheduled' AND scheduled_at < clock_timestamp() - make_interval(secs => %s)
          ORDER BY id LIMIT %s) x
    GROUP BY 1, 2, 3
) g LEFT JOIN action a ON a.id = g.action_id LEFT JOIN pack p ON p.id = a.pack_id
"""
_HOSTS = """
SELECT pool, capabilities, cordoned, status = 'busy',
       status IN ('active', 'busy') AND last_heartbeat > clock_timestamp() - make_interval(secs => %s)
FROM worker
WHERE worker_role = 'action' AND status <> 'error'
  AND last_heartbeat > clock_timestamp() - make_interval(secs => %s)
"""
_EXPLAIN = """
WITH wanted AS (
    SELECT * FROM unnest(%s::text[], %s::jsonb[], %s::bigint[], %s::text[], %s::text[])
         AS wanted(pool, selector, action_id, reason, spared)
), picked AS (
    SELECT x.id, w.reason FROM execution x JOIN wanted w
      ON x.worker_pool IS NOT DISTINCT FROM w.pool AND x.action_id IS NOT DISTINCT FROM w.action_id
     AND x.worker_selector IS NOT DISTINCT FROM w.selector
    WHERE x.status = 'scheduled' AND x.scheduled_at < clock_timestamp() - make_interval(secs => %s)
      AND x.status_reason IS DISTINCT FROM w.reason AND x.status_reason IS DISTINCT FROM w.spared
    ORDER BY x.id LIMIT %s FOR UPDATE OF x SKIP LOCKED
)
UPDATE execution x SET status_reason = picked.reason, updated = clock_timestamp()
FROM picked WHERE x.id = picked.id
RETURNING x.id, x.worker_pool
"""
_FAIL = """
WITH wanted AS (
    SELECT * FROM unnest(%s::text[], %s::jsonb[], %s::bigint[], %s::text[])
         AS wanted(pool, selector, action_id, reason)
), picked AS (
    SELECT x.id, w.reason FROM execution x JOIN wanted w
      ON x.worker_pool IS NOT DISTINCT FROM w.pool AND x.action_id IS NOT DISTINCT FROM w.action_id
     AND x.worker_selector IS NOT DISTINCT FROM w.selector
    WHERE x.status = 'scheduled' AND x.scheduled_at < clock_timestamp() - make_interval(secs => %s)
    ORDER BY x.id LIMIT %s FOR UPDATE OF x SKIP LOCKED
)
UPDATE execution x
SET status = 'failed', status_reason = NULL, finished_at = GREATEST(clock_timestamp(), x.scheduled_at),
    result = jsonb_build_object('error', picked.reason, 'succeeded', false), updated = clock_timestamp()
FROM picked WHERE x.id = picked.id
RETURNING x.id, x.status, x.worker_pool, x.policy_id
"""


@dataclass(frozen=True)
class Group:
    """Executions that have waited for the same things; `key` tells them from others in SQL."""

    key: tuple[str | None, str | None, int | None]  # pool, selector as JSON, action id
    wish: Wish
    count: int
    reasons: frozenset[str | None]


def groups(older_than: float) -> list[Group]:
    """Return what has been scheduled for more than `older_than` seconds."""
    return [
        Group(
            (pool, selector, action_id),
            wish(pool, selector and json.loads(selector), action and json.loads(action)),
            count,
            frozenset(reasons),
        )
        for pool, selector, action_id, count, reasons, action in rows_of(_GROUPS, [older_than, MOST_WAITING])
    ]


def hosts(heard_within: float) -> list[Host]:
    """Return the workers that gave a sign of life within so many seconds."""
    rows = rows_of(_HOSTS, [settings.ATTUNE_LEASE_SECONDS, heard_within])
    return [Host(pool, json.loads(has), cordoned, busy, alive) for pool, has, cordoned, busy, alive in rows]


def unable(older_than: float) -> list[tuple[Group, Situation]]:
    """Return what has waited for so long and waits for more than a free slot, with the reason."""
    waiting = groups(older_than)
    live = hosts(settings.ATTUNE_LEASE_SECONDS) if waiting else []
    found = [(group, situation(group.wish, live)) for group in waiting]
    return [(group, why) for group, why in found if not why.able]


def explain_waiting(limit: int) -> int:
    """Say of what is scheduled what it waits for, where that has changed; return how many rows it was.

    While these rows were locked a worker may have passed over them: whoever can run them is rung for.
    """
    waiting = groups(EXPLAIN_AFTER)
    live = hosts(settings.ATTUNE_LEASE_SECONDS) if waiting else []
    news: list[tuple[Any, ...]] = []
    for group in waiting:
        why = situation(group.wish, live)
        spared = waiting_for(group.wish.pool) if why.able and group.count > MANY else why.reason
        if group.reasons - {why.reason, spared}:
            news.append((*group.key, why.reason, spared))
    if not news:
        return 0
    with transaction.atomic():
        changed = rows_of(_EXPLAIN, [*_columns(news), EXPLAIN_AFTER, limit])
        for pool in {row[1] for row in changed}:
            ring(EXECUTION_REQUESTED, [row[0] for row in changed if row[1] == pool], pool)
        ring(EXECUTION_STATUS_CHANGED, [row[0] for row in changed])
    return len(changed)


def fail_unplaceable(limit: int) -> int:
    """Fail what has been scheduled for long while no worker that could run it gave a sign of life.

    Busy workers never count, nor does one that has only just ended: another may be about to start. Who
    calls this must have looked for as long itself, or an outage of the database looks like no worker.
    """
    seconds = settings.ATTUNE_NO_WORKER_SECONDS
    waiting = groups(seconds)
    heard = hosts(seconds) if waiting else []
    gone = [
        (*group.key, f"{situation(group.wish, heard).reason}, for {seconds:g} s")
        for group in waiting
        if not placeable(group.wish, heard)
    ]
    if not gone:
        return 0
    with transaction.atomic():
        changed = rows_of(_FAIL, [*_columns(gone), seconds, limit])
        free_slots(changed)
        announce(changed)
    return len(changed)


def _columns(rows: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]
