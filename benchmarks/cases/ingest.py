"""Events that come over HTTP, at the real web service."""

import json
from collections.abc import Callable
from typing import Any

from benchmarks.bench import Bench, spread
from benchmarks.cases.pipeline import repairs_counted
from benchmarks.errors import Incorrect
from benchmarks.feeding import PAYLOAD
from benchmarks.http_load import Loaded, load, request
from benchmarks.stage import TRIGGER, Stage

ROUNDS = 3
CONNECTIONS = {"single": 8, "bulk": 2}
BULK = 1_000  # events of one request: the most that one may hold
SETTLE_RATE = 50  # events per second that a very slow machine completes


def single(bench: Bench) -> dict[str, Any]:
    """POST /api/v1/webhooks/{key}: one event each."""
    stage, _ = bench.shared()
    key = webhook_key(stage)
    sent = request("POST", f"/api/v1/webhooks/{key}", json.dumps(PAYLOAD).encode())
    return _ingest(bench, stage, "single", lambda: sent, events=1, status=200)


def bulk(bench: Bench) -> dict[str, Any]:
    """POST /api/v1/events/bulk: a thousand events each."""
    stage, _ = bench.shared()
    members = [{"trigger_ref": TRIGGER, "payload": PAYLOAD} for _ in range(BULK)]
    sent = request("POST", "/api/v1/events/bulk", json.dumps({"events": members}).encode(), stage.token)
    return _ingest(bench, stage, "bulk", lambda: sent, events=BULK, status=201)


def webhook_key(stage: Stage) -> str:
    path = f"/api/v1/triggers/{TRIGGER}/webhooks/enable"
    status, body = stage.spine.post(path, {}, stage.token)
    if status != 200:
        raise Incorrect(f"POST {path}: {status} {body}")
    return str(json.loads(body)["data"]["webhook_key"])


def _ingest(
    bench: Bench, stage: Stage, kind: str, make: Callable[[], bytes], *, events: int, status: int
) -> dict[str, Any]:
    """Let only web work and send as fast as it answers; then all, and every event must be completed."""
    rates, last, cpu = [], Loaded(), {}
    with repairs_counted(stage) as repairs:
        load(stage.spine.port, make, connections=CONNECTIONS[kind], count=CONNECTIONS[kind] * 2)
        stage.settle(60)
        for _ in range(ROUNDS):
            after = stage.last()
            with stage.consumers_held():
                meter = stage.meter()
                last = load(
                    stage.spine.port, make,
                    connections=CONNECTIONS[kind], seconds=bench.sizes.ingest_seconds / ROUNDS,
                )  # fmt: skip
                cpu = meter.ms(len(last.took) * events)
            if set(last.statuses) != {status}:
                raise Incorrect(f"answers {dict(last.statuses)}: {last.last[:300]!r}")
            count = len(last.took) * events
            stage.settle(60 + count / SETTLE_RATE)
            stage.verify(after, count)
            rates.append(last.per_second * events)
    return {
        "unit": "events/s",
        **spread(rates),
        "request": last.percentiles(),
        "connections": CONNECTIONS[kind],
        "cpu_ms_per_event": {name: ms for name, ms in cpu.items() if name in ("web", "postgres", "broker")},
        **repairs,
    }
