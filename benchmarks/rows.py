"""Questions to a scratch database."""

from collections.abc import Iterable
from typing import Any

import psycopg

from benchmarks.meters import is_local_postgres

BACKENDS = """
SELECT pid, datname = current_database() FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND (datname = current_database()
      OR backend_type IN ('walwriter', 'background writer', 'checkpointer', 'autovacuum launcher'))
"""


class Rows:
    """A connection of the benchmark's own to one database."""

    def __init__(self, url: str) -> None:
        self.connection = psycopg.connect(
            url, autocommit=True, options="-c search_path=attune,public", application_name="bench"
        )

    def close(self) -> None:
        self.connection.close()

    def all(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        cursor = self.connection.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []

    def one(self, statement: str, *parameters: Any) -> Any:
        return self.all(statement, *parameters)[0][0]

    def now(self) -> Any:
        return self.one("SELECT clock_timestamp()")

    def wal(self) -> int:
        """Return how many bytes of write-ahead log the whole server has written."""
        return int(self.one("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')"))

    def transactions(self) -> int:
        return int(self.one("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"))

    def server_pids(self) -> list[int]:
        """Return PostgreSQL's processes that work for this database, when they run on this machine."""
        return [pid for pid, _ in self.all(BACKENDS) if is_local_postgres(pid)]

    def percentiles(self, values: str, source: str, *parameters: Any) -> dict[str, float]:
        """Return p50, p95, p99 and the most of an interval, in ms."""
        found = self.one(
            "SELECT percentile_cont(ARRAY[0.5, 0.95, 0.99, 1.0])"
            f" WITHIN GROUP (ORDER BY extract(epoch FROM {values}) * 1000) {source}",
            *parameters,
        )
        return named(found or [])


def named(values: Iterable[float]) -> dict[str, float]:
    return {
        f"{name}_ms": round(value, 2)
        for name, value in zip(("p50", "p95", "p99", "max"), values, strict=False)
    }
