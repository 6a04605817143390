"""The hand-written pipeline as running processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.errors import Incorrect
from benchmarks.feeding import BASELINE, ROOT, Feed, producers
from benchmarks.meters import CpuMeter, broker_pids, family
from benchmarks.rows import Rows
from tests.integration.spine import until

SCHEMA = """
from django.db import connection
from benchmarks.baseline.models import MODELS
with connection.schema_editor() as editor:
    for model in MODELS:
        editor.create_model(model)
"""
LEFT = """
SELECT (SELECT count(*) FROM baseline_event WHERE id > %s)
     - (SELECT count(*) FROM baseline_execution x JOIN baseline_enforcement n ON n.id = x.enforcement_id
        WHERE n.event_id > %s AND x.status = 'completed')
"""
CHAIN = (
    "FROM baseline_event e JOIN baseline_enforcement n ON n.event_id = e.id"
    " JOIN baseline_execution x ON x.enforcement_id = n.id WHERE e.id > %s"
)


class Pipeline:
    """One prefork worker with a process for each core, and what is asked of it."""

    def __init__(self, worker: subprocess.Popen[bytes], feed: Feed, rows: Rows, broker: str) -> None:
        self.worker = worker
        self.feed = feed
        self.rows = rows
        self.broker = broker

    def hold(self) -> None:
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, sign: signal.Signals) -> None:
        for pid in family(self.worker.pid):
            os.kill(pid, sign)

    def drain(self, count: int) -> dict[str, Any]:
        """Store a backlog while the worker stands still; return how fast it is worked off."""
        after = self.last()
        self.hold()
        try:
            self.feed.record(count)
            meter = self.meter()
            began = self.rows.now()
        finally:
            self.go_on()
        self.wait(after, 60 + count / 5)
        return self._rate(after, count, began, meter)

    def single(self, count: int, threads: int) -> dict[str, Any]:
        """Record each event in a transaction of its own while the worker works."""
        after = self.last()
        meter, began = self.meter(), self.rows.now()
        self.feed.record(count, batch=1, threads=threads)
        self.wait(after, 60 + count / 5)
        return self._rate(after, count, began, meter)

    def latency(self, rate: float, count: int) -> dict[str, Any]:
        """Record at a steady rate; the first second, after a stand-still, doesn't count."""
        for size in (int(rate), count):
            after = self.last()
            self.feed.begin(size, batch=1, rate=rate)
            self.feed.end()
            self.wait(after, 60)
        return {
            "start": self.rows.percentiles("x.started_at - e.created", CHAIN, after),
            "end": self.rows.percentiles("x.finished_at - e.created", CHAIN, after),
        }

    def _rate(self, after: int, count: int, began: Any, meter: CpuMeter) -> dict[str, Any]:
        cpu = meter.ms(count)
        seconds = float(
            self.rows.one(f"SELECT extract(epoch FROM max(x.finished_at) - %s) {CHAIN}", began, after)
        )
        return {"events_per_second": count / seconds, "cpu_ms_per_event": cpu}

    def last(self) -> int:
        return int(self.rows.one("SELECT COALESCE(max(id), 0) FROM baseline_event"))

    def wait(self, after: int, timeout: float) -> None:
        if not until(lambda: self.rows.one(LEFT, after, after) == 0, timeout, step=0.2):
            raise Incorrect(f"by hand: {self.rows.one(LEFT, after, after)} events are not completed")

    def meter(self) -> CpuMeter:
        others = {"postgres": self.rows.server_pids(), "broker": broker_pids(self.broker)}
        return CpuMeter({"by_hand": self.worker.pid}, others)


@contextmanager
def running(database: str, broker: str, processes: int, feeders: int) -> Iterator[Pipeline]:
    """Make the tables and run the worker; yield it warm."""
    environment = {
        "PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8",
        "DATABASE_URL": database, "BROKER_URL": broker, "PYTHONPATH": str(ROOT),
        "DJANGO_SETTINGS_MODULE": "benchmarks.baseline.settings", "PYTHONWARNINGS": "ignore",
    }  # fmt: skip
    prepare = f"import django; django.setup()\n{SCHEMA}"
    subprocess.run([sys.executable, "-c", prepare], cwd=ROOT, env=environment, check=True)
    worker = subprocess.Popen(
        [
            sys.executable, "-m", "celery", "--quiet", "-A", "benchmarks.baseline.tasks", "worker",
            "--pool", "prefork", "--concurrency", str(processes), "--without-gossip", "--without-mingle",
            "--without-heartbeat", "-l", "ERROR",
        ],
        cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        with producers(BASELINE, environment, feeders) as feed:
            pipeline = Pipeline(worker, feed, Rows(database), broker)
            pipeline.feed.record(50, batch=1)
            pipeline.wait(0, 120)
            yield pipeline
            pipeline.rows.close()
    finally:
        _end(worker)


def _end(worker: subprocess.Popen[bytes]) -> None:
    """Kill it with its children, which have nothing to finish."""
    for pid in family(worker.pid):
        os.kill(pid, signal.SIGKILL)
    worker.wait()
