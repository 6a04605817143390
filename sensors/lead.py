"""Which of several beats leads: an advisory lock, held by a session that must keep talking.

PostgreSQL ends a session of ours that has said nothing for `IDLE` seconds, and with it the lock. So a
leader that is dead, frozen, or behind a half-open connection is succeeded within IDLE plus one look of
a follower; one that wakes up again finds its session gone before it does anything. What it was in the
middle of is safe all the same: timers claim rows and slots are unique.
"""

from contextlib import suppress

import structlog
from django.db import DEFAULT_DB_ALIAS, Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper

log = structlog.get_logger(__name__)

# Any number that no other advisory lock of this database uses: "attune" in ASCII.
LOCK = 0x617474756E65
IDLE = 4
SESSION = (
    f" -c idle_session_timeout={IDLE}s -c statement_timeout=2s"
    " -c tcp_keepalives_idle=2 -c tcp_keepalives_interval=1 -c tcp_keepalives_count=3"
)
LIMITS = {
    "application_name": "attune-beat-lead",
    "connect_timeout": 3,
    "keepalives": 1,
    "keepalives_idle": 2,
    "keepalives_interval": 1,
    "keepalives_count": 3,
    "tcp_user_timeout": 4000,
}


class Lead:
    """The right to tick, on a connection of its own."""

    def __init__(self, lock: int = LOCK) -> None:
        self._lock = lock
        self._connection: BaseDatabaseWrapper | None = None
        self._held = False

    def held(self) -> bool:
        """Return whether this process leads, asking the database; try for the lead if it doesn't."""
        before = self._held
        try:
            self._held = self._ask()
        except Error as problem:
            log.warning("the lead's connection failed", error=str(problem).strip())
            self.release()
        if self._held and not before:
            log.info("leading")
        return self._held

    def release(self) -> None:
        """Give up the lead, if it was held, and close its session.

        Unlocked first: the server gets to know of a closed session only a moment later.
        """
        held, self._held = self._held, False
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if held:
            with suppress(Error), connection.cursor() as cursor:
                cursor.execute(f"SELECT pg_advisory_unlock({self._lock})")
        connection.close()

    def _ask(self) -> bool:
        if self._connection is None:
            self._connection = _session()
        statement = "SELECT true" if self._held else f"SELECT pg_try_advisory_lock({self._lock})"
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            return bool(cursor.fetchone()[0])


def _session() -> BaseDatabaseWrapper:
    """Return a connection that shares nothing with this process's others."""
    wrapper = connections.create_connection(DEFAULT_DB_ALIAS)
    options = {key: value for key, value in wrapper.settings_dict["OPTIONS"].items() if key != "pool"}
    options["options"] = options.get("options", "") + SESSION
    wrapper.settings_dict = {**wrapper.settings_dict, "OPTIONS": {**options, **LIMITS}}
    # A reconnect behind our back would be a new session without the lock.
    wrapper.settings_dict["CONN_HEALTH_CHECKS"] = False
    return wrapper
