"""Locks of policies and their groups.

Who decides by policies holds them off from changing (`hold_off_changes`), then locks the groups that it
decides about, in one order, then looks and decides: a statement that starts after the lock was taken sees
whatever the last holder did. Who changes a policy waits for the decisions that are under way (a trigger).
"""

from collections.abc import Iterable

from django.db import connection

Key = tuple[int, str]  # (policy id, group key)

_HOLD_OFF = "SELECT pg_advisory_xact_lock_shared(hashtextextended('attune.policies', 0))"
_LOCK = """
INSERT INTO policy_group (policy_id, group_key)
SELECT w.policy_id, w.group_key FROM unnest(%s::bigint[], %s::text[]) AS w(policy_id, group_key)
JOIN policy p ON p.id = w.policy_id ORDER BY w.policy_id, w.group_key
ON CONFLICT (policy_id, group_key) DO UPDATE SET group_key = EXCLUDED.group_key
RETURNING id
"""
_LOCK_FREED = """
SELECT g.id FROM policy_group g
JOIN unnest(%s::bigint[], %s::text[]) AS w(policy_id, group_key) USING (policy_id, group_key)
WHERE g.waiting ORDER BY g.id FOR UPDATE OF g SKIP LOCKED
"""
_LOCK_READY = """
SELECT g.id FROM policy_group g JOIN policy p ON p.id = g.policy_id AND p.enabled
WHERE g.waiting
  AND (SELECT count(*) FROM policy_slot s WHERE s.policy_id = g.policy_id AND s.group_key = g.group_key)
      < p.threshold
  AND (p.rate_limit IS NULL OR g.window_started_at IS NULL OR g.window_count < p.rate_limit
       OR g.window_started_at <= statement_timestamp() - make_interval(secs => p.rate_seconds))
ORDER BY g.last_admitted_at NULLS FIRST, g.id LIMIT %s FOR UPDATE OF g SKIP LOCKED
"""
_DROP_IDLE = """
WITH idle AS (
    SELECT g.id FROM policy_group g JOIN policy p ON p.id = g.policy_id
    WHERE NOT g.waiting AND g.updated < now() - make_interval(secs => %s)
      AND NOT EXISTS (SELECT 1 FROM policy_slot s
                      WHERE s.policy_id = g.policy_id AND s.group_key = g.group_key)
      AND (p.rate_limit IS NULL OR g.window_started_at IS NULL
           OR g.window_started_at < now() - make_interval(secs => p.rate_seconds))
    ORDER BY g.updated LIMIT %s FOR UPDATE OF g SKIP LOCKED
)
DELETE FROM policy_group g USING idle WHERE g.id = idle.id RETURNING g.id
"""


def hold_off_changes() -> None:
    """Let no policy change until this transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(_HOLD_OFF)


def lock_groups(keys: Iterable[Key]) -> list[int]:
    """Lock these groups, made if they aren't there; a policy that is gone has none. Return their ids."""
    return _ids(_LOCK, *_columns(keys))


def lock_freed(keys: Iterable[Key]) -> list[int]:
    """Lock those of these groups in which something may wait; what another holds is left to it."""
    return _ids(_LOCK_FREED, *_columns(keys))


def lock_ready(limit: int) -> list[int]:
    """Lock groups in which something may wait, and may start; the least recently admitted first."""
    return _ids(_LOCK_READY, limit)


def drop_idle(seconds: float, limit: int) -> int:
    """Delete groups that nothing has gone through for so long; return how many.

    Nobody may be deciding meanwhile: then none is deleted this time.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended('attune.policies', 0))")
        alone = cursor.fetchone()[0]
    return len(_ids(_DROP_IDLE, seconds, limit)) if alone else 0


def _columns(keys: Iterable[Key]) -> tuple[list[int], list[str]]:
    wanted = sorted(set(keys))
    return [policy_id for policy_id, _ in wanted], [key for _, key in wanted]


def _ids(statement: str, *parameters: float | list[int] | list[str]) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return [row[0] for row in cursor.fetchall()]
