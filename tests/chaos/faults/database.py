"""A PostgreSQL that crashes, locks, and refuses to write."""

from typing import Any, ClassVar

import psycopg

from tests.chaos.faults.fault import Fault
from tests.chaos.faults.network import OF

AWAY = OF["database"]
REFUSING = """
CREATE FUNCTION attune.chaos_refuses() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$
"""
TABLES = ("event", "enforcement", "execution", "attempt", "timer_slot")
KILL_ALL = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


class Crash(Fault):
    """pg_ctl stop -m immediate, and a start that recovers."""

    name = "database-crash"
    lasts = (1.0, 6.0)
    alarms = AWAY

    def inject(self) -> None:
        self.stage.servers.postgres.stop("immediate")

    def lift(self) -> None:
        self.stage.servers.postgres.start()


class Terminated(Fault):
    name = "database-terminated"

    def inject(self) -> None:
        self.stage.spine.sql(KILL_ALL)


class Locked(Fault):
    """Somebody holds a table for a while, as a careless migration does."""

    name = "database-locked"
    lasts = (2.0, 8.0)
    alarms = AWAY

    def inject(self) -> None:
        table = self.random.choice(TABLES)
        self.connection: psycopg.Connection[Any] = psycopg.connect(self.stage.servers.postgres.url)
        self.connection.execute("SET lock_timeout = '20s'")
        self.connection.execute(f"LOCK TABLE attune.{table} IN ACCESS EXCLUSIVE MODE")

    def lift(self) -> None:
        self.connection.rollback()
        self.connection.close()


class LockTimeouts(Locked):
    """The same, and whoever waits for it is refused after a moment."""

    name = "database-lock-timeout"

    def inject(self) -> None:
        self.stage.spine.sql("ALTER DATABASE attune SET lock_timeout = '300ms'")
        self.stage.spine.sql(KILL_ALL)
        super().inject()

    def lift(self) -> None:
        super().lift()
        self.stage.spine.sql("ALTER DATABASE attune RESET lock_timeout")
        self.stage.spine.sql(KILL_ALL)


class Full(Fault):
    """A statement fails as it does on a full disk: no row of one table can be inserted, or none changed."""

    name = "database-full"
    lasts = (2.0, 8.0)
    alarms = AWAY
    events: ClassVar[tuple[str, ...]] = ("INSERT", "UPDATE", "INSERT OR UPDATE")

    def inject(self) -> None:
        sql = self.stage.spine.sql
        self.table = self.random.choice(TABLES)
        if not sql("SELECT FROM pg_proc WHERE proname = 'chaos_refuses'"):
            sql(REFUSING)
        sql(f"CREATE TRIGGER chaos_refuses BEFORE {self.random.choice(self.events)} ON attune.{self.table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION attune.chaos_refuses()")  # fmt: skip

    def lift(self) -> None:
        self.stage.spine.sql(f"DROP TRIGGER IF EXISTS chaos_refuses ON attune.{self.table}")


FAULTS = [Crash, Terminated, Locked, LockTimeouts, Full]
