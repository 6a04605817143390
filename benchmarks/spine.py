"""Measure the whole pipeline: latency at a steady rate, then how fast a backlog drains.

    python -m benchmarks.spine --events 20000 --rate 20 --seconds 30

Needs ATTUNE_TEST_DATABASE_URL, ATTUNE_TEST_BROKER_URL and ATTUNE_TEST_RABBITMQCTL (`.ci/services FILE`
writes them): it works in a database and a virtual host of its own, with one process of each service. Prints
JSON. An event's latency is from its row's creation to the `finished_at` of its execution, both by the
database's clock; the drain is from the first event's decision, with the whole backlog stored before the
services started, to the last execution's settling.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.integration.servers import free_port, fresh_database, fresh_vhost
from tests.integration.spine import SERVICES, Spine, until

CONSUMERS = ("worker", "executor", "sensor")


def main() -> None:
    arguments = parse()
    with fresh_database() as database, fresh_vhost() as broker, tempfile.TemporaryDirectory() as folder:
        spine = Spine(database, broker, Path(folder), free_port())
        spine.prepare()
        spine.start(*SERVICES)
        try:
            found = {
                "latency": latency(spine, arguments.rate, arguments.seconds),
                "drain": drain(spine, arguments.events),
            }
            found["check"] = {"repairs": spine.repairs(), "invariants": spine.invariants() or "hold"}
        finally:
            spine.stop()
    print(json.dumps({**found, "machine": machine()}, indent=2))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=20_000, help="the size of the backlog")
    parser.add_argument("--rate", type=float, default=20, help="events per second while latency is measured")
    parser.add_argument("--seconds", type=float, default=30, help="for how long latency is measured")
    return parser.parse_args()


def latency(spine: Spine, rate: float, seconds: float) -> dict[str, Any]:
    """Feed single events at a rate; the first seconds, when caches are cold, don't count."""
    spine.feed(int(rate * 5), rate=rate).communicate(timeout=60)
    wait_settled(spine, 30)
    after = spine.last_event()
    spine.feed(int(rate * seconds), rate=rate).communicate(timeout=seconds + 60)
    wait_settled(spine, 60)
    names = (
        "event_to_decided",
        "decided_to_scheduled",
        "scheduled_to_started",
        "started_to_finished",
        "total",
    )
    rows = spine.sql(
        """
        WITH chain AS (
            SELECT e.created, e.decided_at, x.scheduled_at, x.started_at, x.finished_at
            FROM event e JOIN enforcement n ON n.event_id = e.id JOIN execution x ON x.id = n.execution_id
            WHERE e.trigger_ref = 'it.ping' AND e.id > %s
        ), stage AS (
            SELECT unnest(ARRAY[decided_at - created, scheduled_at - decided_at, started_at - scheduled_at,
                                finished_at - started_at, finished_at - created]) AS took,
                   generate_series(1, 5) AS place
            FROM chain
        )
        SELECT count(*), percentile_cont(ARRAY[0.5, 0.95, 0.99, 1.0])
                         WITHIN GROUP (ORDER BY extract(epoch FROM took) * 1000)
        FROM stage GROUP BY place ORDER BY place
        """,
        [after],
    )
    stages = {
        name: dict(
            zip(("p50_ms", "p95_ms", "p99_ms", "max_ms"), (round(one, 1) for one in row[1]), strict=True)
        )
        for name, row in zip(names, rows, strict=True)
    }
    return {"events": rows[0][0], "rate": rate, **stages.pop("total"), "stages": stages}


def drain(spine: Spine, events: int) -> dict[str, Any]:
    """Store a backlog while nobody consumes, then let the services at it."""
    spine.terminate(*CONSUMERS)
    after = spine.last_event()
    began = time.monotonic()
    assert spine.record(events) == events
    stored = time.monotonic() - began
    spine.start(*CONSUMERS)
    wait_settled(spine, 60 + events / 50)
    first, last, completed = spine.sql(
        "SELECT min(e.decided_at), max(x.settled_at), count(*) FILTER (WHERE x.status = 'completed')"
        " FROM event e JOIN enforcement n ON n.event_id = e.id JOIN execution x ON x.id = n.execution_id"
        " WHERE e.trigger_ref = 'it.ping' AND e.id > %s",
        [after],
    )[0]
    seconds = (last - first).total_seconds()
    return {
        "events": completed,
        "seconds": round(seconds, 2),
        "events_per_second": round(completed / seconds),
        "recording_events_per_second": round(events / stored),
    }


def wait_settled(spine: Spine, timeout: float) -> None:
    owed = "SELECT count(*) FROM execution WHERE settled_at IS NULL"
    done = until(lambda: spine.unfinished() == 0 and spine.one(owed) == 0, timeout, step=0.5)
    assert done, f"{spine.unfinished()} events unfinished after {timeout:.0f} s: {spine.red()}"


def machine() -> dict[str, Any]:
    return {"cores": os.cpu_count(), "load": os.getloadavg()[0], "python": platform.python_version()}


if __name__ == "__main__":
    main()
