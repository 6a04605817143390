"""Where each event's time goes: by service, by statement, by message."""

from typing import Any

from benchmarks.bench import THREADS, Bench, say, warm
from benchmarks.stage import Costs, Stage
from tests.integration.spine import SERVICES


def profile(bench: Bench) -> dict[str, Any]:
    """Measure a drain, single transactions and a slow steady rate with every statement counted.

    The counting costs time itself: the rates here are lower than those of the cases.
    """
    say("profile ...")
    sizes = bench.sizes
    with bench.alone(*SERVICES, count_statements=True) as stage:
        warm(stage, sizes.drain // 4)
        found = {
            "drain": stage.drain(sizes.drain),
            "single": stage.single(sizes.single, threads=THREADS),
            "at_20": _at_rate(stage, 20, sizes.latency_seconds),
        }
        stage.verify_invariants()
    for name, one in found.items():
        say(f"{name}: {table(one)}")
    return found


def _at_rate(stage: Stage, rate: float, seconds: float) -> dict[str, Any]:
    """Return the costs at a rate: of what is idle in between, too (polls, heartbeats, probes)."""
    count = int(rate * seconds)
    after = stage.last()
    costs = Costs(stage, count)
    stage.feed.begin(count, batch=1, rate=rate)
    stage.feed.end()
    stage.settle(60)
    return stage.rate(after, count, costs)


def table(found: dict[str, Any]) -> str:
    """Return a profile as lines for a terminal."""
    lines = [
        f"{found['events_per_second']:.0f} events/s, {found['wal_bytes_per_event']} bytes of WAL,"
        f" {found['transactions_per_event']} transactions an event",
        "  processor ms an event: " + _pairs(found["cpu_ms_per_event"]),
        "  messages an event: " + _pairs(found["messages_per_event"]),
        "  statements, by the time waited for them:",
    ]
    lines += [
        f"    {row['service']:<9}{row['per_event']:>8} times {row['ms_per_event']:>8} ms  {row['statement']}"
        for row in found["statements"]
    ]
    return "\n".join(lines)


def _pairs(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
