"""Is there a worker for what is to be run?"""

from django.db import connection

from attune_project.console import step_state
from attune_project.console.checks import Check, check
from attune_project.console.pool_state import Pool, live_pools
from attune_project.console.step_state import late
from attune_project.messaging import pools
from executions import lifecycle


@check
def worker_pools() -> list[Check]:
    """One check per pool that is declared, or that executions wait for."""
    live, waiting = live_pools(), waiting_by_pool()
    unplaced = unplaceable_by_pool()
    names = {None, *pools.refresh(), *waiting}
    uptime = step_state.uptime()
    found = []
    for name in sorted(names, key=lambda name: name or ""):
        reason = _trouble(name or "default", live.get(name), waiting.get(name, 0), unplaced.get(name), uptime)
        found.append(Check(f"pool:{name or 'default'}", reason is None, reason))
    return found


def _trouble(
    name: str, pool: Pool | None, waiting: int, unplaced: tuple[int, str] | None, uptime: float
) -> str | None:
    if pool is None and (waiting or uptime > late()):
        waits = f"; {waiting} executions wait for one" if waiting else ""
        return f"No worker of the pool {name} has been heard of for {late():g} s{waits}: is one running?"
    if pool is not None and pool.cordoned and waiting:
        return f"{waiting} executions wait for the pool {name}, and every worker there is cordoned."
    if unplaced:
        count, reason = unplaced
        return f"{count} executions wait for what nobody has: {reason}."
    return None


_WAITING = """
SELECT worker_pool, count(*) FROM (
    SELECT worker_pool FROM execution
    WHERE status = 'scheduled' AND scheduled_at < now() - make_interval(secs => %s) ORDER BY id LIMIT 1000
) waiting GROUP BY worker_pool
"""


def waiting_by_pool() -> dict[str | None, int]:
    """Return how many executions have been scheduled for long, by pool, at most 1000 in all."""
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, [late()])
        return dict(cursor.fetchall())


def unplaceable_by_pool() -> dict[str | None, tuple[int, str]]:
    """Return how many of those ask for what no live worker has, and what that is, by pool."""
    found: dict[str | None, tuple[int, str]] = {}
    for group, why in lifecycle.unable(late()):
        count, _ = found.get(group.wish.pool, (0, ""))
        found[group.wish.pool] = (count + group.count, why.reason)
    return found
