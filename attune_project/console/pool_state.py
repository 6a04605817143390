"""Which pools have workers that live."""

from dataclasses import dataclass

from django.db import connection

from attune_project.console.step_state import late


@dataclass(frozen=True)
class Pool:
    """The workers of one pool that were heard of lately, those that are just being restarted among them."""

    live: int
    busy: bool  # every one of them has all its slots taken
    cordoned: bool  # none of them takes new work


def live_pools() -> dict[str | None, Pool]:
    """Return the pools that have a live worker; the default pool is None."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pool, count(*), bool_and(status = 'busy'), bool_and(cordoned) FROM worker"
            " WHERE worker_role = 'action' AND status <> 'error'"
            " AND last_heartbeat > now() - make_interval(secs => %s) GROUP BY pool",
            [late()],
        )
        return {row[0]: Pool(*row[1:]) for row in cursor.fetchall()}
