"""What deleting history costs the pipeline that makes it."""

import subprocess
import sys
from typing import Any

from benchmarks.bench import FEEDERS, Bench, say, spread, warm
from benchmarks.errors import Incorrect
from benchmarks.stage import Costs, Stage
from tests.integration.spine import ROOT, SERVICES

RATE = 0.4  # of what a drain comes to
# All that has ended becomes so old that it may go: rows of the pipeline's own making, as it left them.
AGE = (
    "UPDATE event SET created = created - interval '40 days', decided_at = decided_at - interval '40 days'"
    " WHERE status = 'decided'",
    "UPDATE enforcement SET created = created - interval '40 days', resolved_at = resolved_at"
    " - interval '40 days' WHERE status <> 'created'",
    "UPDATE execution SET created = created - interval '40 days', scheduled_at = scheduled_at"
    " - interval '40 days', started_at = started_at - interval '40 days', finished_at = finished_at"
    " - interval '40 days', settled_at = settled_at - interval '40 days' WHERE settled_at IS NOT NULL",
    "VACUUM ANALYZE event, enforcement, execution, attempt",
)


def retention(bench: Bench) -> dict[str, Any]:
    """Let events come at a rate, in turn alone and while as many old chains are deleted as come."""
    sizes = bench.sizes
    with bench.alone(*SERVICES, feeders=FEEDERS, ATTUNE_RETENTION="off") as stage:
        warm(stage, sizes.drain // 4)
        rate = RATE * stage.drain(sizes.drain)["events_per_second"]
        alone, beside = [], []
        for number in range(sizes.rounds):
            say(f"retention: round {number + 1} of {sizes.rounds}")
            alone.append(_round(stage, rate, sizes.sustain_seconds, delete=False))
            beside.append(_round(stage, rate, sizes.sustain_seconds, delete=True))
        stage.verify_invariants()
    ratios = [there["p99_ms"] / here["p99_ms"] for here, there in zip(alone, beside, strict=True)]
    return {
        "unit": "times the p99 of the same pipeline without deleting",
        **spread(ratios, 2),
        "rate": round(rate),
        "alone": alone,
        "deleting": beside,
    }


def _round(stage: Stage, rate: float, seconds: float, *, delete: bool) -> dict[str, Any]:
    """Return latencies until executions end, what an event cost, and how many chains went meanwhile."""
    for statement in AGE:
        stage.rows.all(statement)
    count, before = int(rate * seconds), stage.rows.one("SELECT count(*) FROM event")
    process = _delete(stage) if delete else None
    costs = Costs(stage, count)
    latencies = stage.sustain(rate, seconds, batch=100)["end"]
    found = {**latencies, **costs.until_now()}
    if process is None:
        return found
    if process.wait(timeout=600):
        raise Incorrect(f"manage.py retention: exit code {process.returncode}")
    return {**found, "deleted": before + count - stage.rows.one("SELECT count(*) FROM event")}


def _delete(stage: Stage) -> subprocess.Popen[bytes]:
    """Start what an operator starts, which does what the executor does by its clock."""
    return subprocess.Popen(
        [sys.executable, "manage.py", "retention"], cwd=ROOT, env=stage.spine.environment,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
