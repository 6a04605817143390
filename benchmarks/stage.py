"""Attune's own services on scratch servers: started, held, fed, and asked whether all was done right."""

import os
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.errors import Incorrect
from benchmarks.feeding import ATTUNE, Feed, producers
from benchmarks.meters import CpuMeter, broker_pids
from benchmarks.rows import Rows
from benchmarks.statements import Statements
from tests.integration.servers import free_port
from tests.integration.spine import ROOT, Spine, until

TRIGGER = "bench.alert"
PACKS = ("attune_project/packs/core", "benchmarks/pack")
CHAIN = (
    "FROM event e JOIN enforcement n ON n.event_id = e.id JOIN execution x ON x.id = n.execution_id"
    f" WHERE e.trigger_ref = '{TRIGGER}' AND e.id > %s"
)
HOPS = {
    "event_to_decided": "e.decided_at - e.created",
    "decided_to_scheduled": "x.scheduled_at - e.decided_at",
    "scheduled_to_started": "x.started_at - x.scheduled_at",
    "started_to_finished": "x.finished_at - x.started_at",
}
# By the partial indexes of the steps' own polls: cheap to ask often.
OWED = """
SELECT EXISTS (SELECT FROM event WHERE status = 'new')
    OR EXISTS (SELECT FROM enforcement WHERE status = 'created')
    OR EXISTS (SELECT FROM execution WHERE status = 'scheduled')
    OR EXISTS (SELECT FROM execution WHERE status IN ('running', 'canceling'))
    OR EXISTS (SELECT FROM execution WHERE settled_at IS NULL AND finished_at IS NOT NULL)
"""
ACCOUNT = """
SELECT count(*), count(DISTINCT n.id), count(DISTINCT x.id),
       count(DISTINCT x.id) FILTER (WHERE x.status = 'completed')
FROM event e LEFT JOIN enforcement n ON n.event_id = e.id LEFT JOIN execution x ON x.id = n.execution_id
WHERE e.trigger_ref = %s AND e.id > %s
"""


class Stage:
    """Services on one database and broker, with processes that feed them."""

    def __init__(self, spine: Spine, feed: Feed, statements: Statements | None) -> None:
        self.spine = spine
        self.feed = feed
        self.rows = Rows(spine.database_url)
        self.statements = statements

    # -- processes -----------------------------------------------------------------------------

    def pids(self) -> dict[str, int]:
        return {name: process.pid for name, process in self.spine.processes.items()}

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let every service stand still meanwhile: what is recorded waits, and nothing else is in the way."""
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    def _signal(self, sign: signal.Signals, *names: str) -> None:
        for name, pid in self.pids().items():
            if not names or name in names:
                with suppress(ProcessLookupError):
                    os.killpg(pid, sign)

    @contextmanager
    def consumers_held(self) -> Iterator[None]:
        """The same for all but web."""
        names = [name for name in self.pids() if name != "web"]
        self._signal(signal.SIGSTOP, *names)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT, *names)

    @cached_property
    def token(self) -> str:
        """An access token of an administrator."""
        return self.spine.token()

    def meter(self) -> CpuMeter:
        others = {"postgres": self.rows.server_pids(), "broker": broker_pids(self.spine.broker_url)}
        return CpuMeter(self.pids(), others)

    # -- what is measured ----------------------------------------------------------------------

    def drain(self, count: int, *, batch: int = 500) -> dict[str, Any]:
        """Store a backlog while every service stands still; return how fast it is completed."""
        after = self.last()
        with self.held():
            stored = self.feed.record(count, batch=batch)
            costs = Costs(self, count)
        self.settle(60 + count / 100)
        return {
            **self.rate(after, count, costs),
            "recorded_per_second": round(stored["recorded"] / stored["seconds"]),
        }

    def single(self, count: int, threads: int) -> dict[str, Any]:
        """Record each event in a transaction of its own, as fast as the producers can, while all work."""
        after = self.last()
        costs = Costs(self, count)
        self.feed.record(count, batch=1, threads=threads)
        self.settle(60 + count / 50)
        return self.rate(after, count, costs)

    def sustain(self, rate: float, seconds: float, *, batch: int, threads: int = 1) -> dict[str, Any]:
        """Record at a rate whatever comes of it; return latencies, and whether arrival was kept up with."""
        after, count = self.last(), int(rate * seconds)
        self.feed.begin(count, batch=batch, rate=rate, threads=threads)
        told = self.feed.end()
        left = self.rows.one("SELECT count(*) FROM event WHERE id > %s", after) - self.completed(after)
        self.settle(60 + count / 100)
        self.verify(after, count)
        return {
            "rate": round(rate),
            "start": self.rows.percentiles("x.started_at - e.created", CHAIN, after),
            "end": self.rows.percentiles("x.finished_at - e.created", CHAIN, after),
            # what is under way at the end is no more than came within a second, and it came on time
            "held": left <= max(rate, 50) and told["late"] < 1.0,
        }

    def hops(self, after: int) -> dict[str, float]:
        """Return the median ms of each part of the way."""
        return {
            f"{name}_ms": self.rows.percentiles(took, CHAIN, after)["p50_ms"] for name, took in HOPS.items()
        }

    def rate(self, after: int, count: int, costs: "Costs") -> dict[str, Any]:
        """Return events per second until the last was completed, and what they cost, once all is right."""
        spent = costs.until_now()
        self.verify(after, count)
        seconds = self.rows.one(
            f"SELECT extract(epoch FROM max(x.finished_at) - %s) {CHAIN}", costs.began, after
        )
        return {"events_per_second": count / float(seconds), **spent}

    # -- what must be right --------------------------------------------------------------------

    def last(self) -> int:
        return int(self.rows.one("SELECT COALESCE(max(id), 0) FROM event"))

    def completed(self, after: int) -> int:
        return int(self.rows.one(f"SELECT count(*) {CHAIN} AND x.status = 'completed'", after))

    def settle(self, timeout: float) -> None:
        """Wait until nothing owes anything."""
        if not until(lambda: not self.rows.one(OWED), timeout, step=0.1):
            raise Incorrect(f"work is still owed after {timeout:.0f} s; red: {self.spine.red()}")

    def verify(self, after: int, count: int, trigger: str = TRIGGER) -> None:
        """Raise Incorrect unless each event led to one enforcement and one completed execution."""
        found = self.rows.all(ACCOUNT, trigger, after)[0]
        if found != (count, count, count, count):
            names = ("events", "enforcements", "executions", "completed")
            raise Incorrect(f"of {count} events: {dict(zip(names, found, strict=True))}")

    def verify_invariants(self) -> None:
        if broken := self.spine.invariants():
            raise Incorrect(f"check_invariants: {broken}")


class Costs:
    """What some events cost: processor time, write-ahead log, transactions, messages, statements."""

    def __init__(self, stage: Stage, count: int) -> None:
        self._stage, self._count = stage, count
        self._statements = stage.statements.counted() if stage.statements else None
        self._messages = self._published()
        self._transactions, self._wal = stage.rows.transactions(), stage.rows.wal()
        self._meter = stage.meter()
        self.began = stage.rows.now()

    def _published(self) -> dict[str, int]:
        return dict(
            self._stage.rows.all(
                "SELECT label, total FROM message_count WHERE name = 'published' AND outcome = 'ok'"
            )
        )

    def until_now(self) -> dict[str, Any]:
        rows = self._stage.rows
        found: dict[str, Any] = {
            "cpu_ms_per_event": self._meter.ms(self._count),
            "wal_bytes_per_event": round((rows.wal() - self._wal) / self._count),
        }
        if self._stage.statements is None or self._statements is None:
            return found
        self._stage.statements.wait_for_dump()
        per = {name: round(total / self._count, 4) for name, total in self._messages_since().items()}
        return {
            **found,
            "transactions_per_event": round((rows.transactions() - self._transactions) / self._count, 4),
            "messages_per_event": per,
            "statements": self._stage.statements.since(self._statements, self._count),
        }

    def _messages_since(self) -> dict[str, int]:
        """Return what was published of each type, probes among it."""
        return {
            name: total - self._messages.get(name, 0) for name, total in sorted(self._published().items())
        }


@contextmanager
def running(
    database: str,
    broker: str,
    services: Sequence[str],
    *,
    feeders: int = 2,
    count_statements: bool = False,
    **settings: str,
) -> Iterator[Stage]:
    """Run services on a database that is prepared; yield them ready, and end them."""
    with tempfile.TemporaryDirectory(prefix="attune-bench-") as name:
        folder = Path(name)
        statements = Statements(folder / "statements") if count_statements else None
        settings = {**settings, **(statements.environment() if statements else {})}
        spine = Spine(database, broker, folder, free_port(), PYTHONWARNINGS="ignore", **settings)
        spine.prepare()
        try:
            spine.start(*services)
            with producers(ATTUNE, spine.environment, feeders) as feed:
                stage = Stage(spine, feed, statements)
                yield stage
                stage.rows.close()
        finally:
            spine.drop()


def prepare(database: str) -> None:
    """Migrate a database and load the packs: others are copied from it."""
    spine = Spine(database, "memory://", ROOT, 0)
    spine.manage("migrate", "-v", "0")
    for pack in PACKS:
        spine.manage("load_pack", pack)
