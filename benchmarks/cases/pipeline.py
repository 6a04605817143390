"""From the recording of events to the completion of their executions, beside the hand-written pipeline."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.baseline.pipeline import Pipeline
from benchmarks.bench import THREADS, Bench, beside, spread
from benchmarks.stage import Stage

LATENCY_RATES = (20, 200)
PARTS = (0.8, 0.6, 0.4)  # of the rate without a limit: which of them can be sustained


def throughput(bench: Bench) -> dict[str, Any]:
    """Drain backlogs that were recorded in batches; then let events arrive at a rate, in batches too."""
    sizes = bench.sizes

    def ours(stage: Stage) -> dict[str, Any]:
        return stage.drain(sizes.drain)

    found = interleaved(bench, ours, lambda pipeline: pipeline.drain(sizes.by_hand))
    return {**found, **sustained(bench, found["median"], batch=100)}


def single(bench: Bench) -> dict[str, Any]:
    """Record each event in a transaction of its own from several processes, as web servers do."""
    sizes = bench.sizes

    def ours(stage: Stage) -> dict[str, Any]:
        return stage.single(sizes.single, threads=THREADS)

    found = interleaved(bench, ours, lambda pipeline: pipeline.single(sizes.by_hand, threads=THREADS))
    return {**found, **sustained(bench, found["median"], batch=1)}


def interleaved(
    bench: Bench,
    ours: Callable[[Stage], dict[str, Any]],
    theirs: Callable[[Pipeline], dict[str, Any]],
) -> dict[str, Any]:
    """Measure both in turn, so that a machine that drifts does so for both."""
    stage, pipeline = bench.shared()
    rounds, baseline = [], []
    with repairs_counted(stage) as repairs:
        for _ in range(bench.sizes.rounds):
            rounds.append(ours(stage))
            baseline.append(by_hand(stage, pipeline, theirs))
    rates = [one["events_per_second"] for one in rounds]
    return {
        "unit": "events/s",
        **spread(rates),
        **beside(rates, [one["events_per_second"] for one in baseline]),
        "cpu_ms_per_event": rounds[-1]["cpu_ms_per_event"],
        "baseline_cpu_ms_per_event": baseline[-1]["cpu_ms_per_event"],
        "wal_bytes_per_event": rounds[-1]["wal_bytes_per_event"],
        **repairs,
    }


def by_hand(
    stage: Stage, pipeline: Pipeline, measure: Callable[[Pipeline], dict[str, Any]]
) -> dict[str, Any]:
    """Measure the hand-written pipeline while Attune stands still."""
    with stage.held():
        pipeline.go_on()
        try:
            return measure(pipeline)
        finally:
            pipeline.hold()


@contextmanager
def repairs_counted(stage: Stage) -> Iterator[dict[str, int]]:
    """Fill in how many rows polls found meanwhile, and check the invariants."""
    found: dict[str, int] = {}
    before = stage.spine.repairs()
    yield found
    found["repairs"] = stage.spine.repairs() - before
    stage.verify_invariants()


def sustained(bench: Bench, rate: float, batch: int) -> dict[str, Any]:
    """Return the first part of a rate that arrival can keep while all is worked off, with latencies."""
    stage, _ = bench.shared()
    tried = {}
    for part in PARTS:
        tried = stage.sustain(
            max(20, rate * part),
            bench.sizes.sustain_seconds,
            batch=batch,
            threads=2 if batch > 1 else THREADS,
        )
        if tried["held"]:
            break
    return {"sustained": tried}


def latency(bench: Bench) -> dict[str, Any]:
    """Record single events at a steady rate; from an event's row to the start and the end of its run."""
    stage, pipeline = bench.shared()
    seconds = bench.sizes.latency_seconds
    found: dict[str, Any] = {"unit": "ms"}
    with repairs_counted(stage) as repairs:
        for rate in LATENCY_RATES:
            for lasting in (1, seconds):  # the first second doesn't count
                after = stage.last()
                told = stage.sustain(rate, lasting, batch=1, threads=1 if rate < 100 else 2)
            found[f"at_{rate}"] = {
                "start": told["start"],
                "end": told["end"],
                "held": told["held"],
                "median_of": stage.hops(after),
            }
    rate = LATENCY_RATES[0]
    theirs = by_hand(stage, pipeline, lambda one: one.latency(rate, int(rate * seconds)))
    ours = found[f"at_{rate}"]["end"]["p50_ms"]
    return {
        **found,
        "median": ours,
        "baseline_median": theirs["end"]["p50_ms"],
        "ratio_to_baseline": round(ours / theirs["end"]["p50_ms"], 2),
        f"baseline_at_{rate}": theirs,
        **repairs,
    }
