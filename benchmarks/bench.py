"""What a run of the benchmark has in common: its servers, its sizes, the services that cases share."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks import stage as attune
from benchmarks.baseline import pipeline as by_hand
from benchmarks.machine import cores
from benchmarks.servers import Server
from benchmarks.stage import Stage
from tests.integration.spine import SERVICES


@dataclass(frozen=True)
class Sizes:
    """How much each case does. `--quick` does less of everything, `--scale` a part of it."""

    rounds: int = 3
    drain: int = 20_000
    single: int = 6_000
    by_hand: int = 1_000
    sustain_seconds: float = 8
    latency_seconds: float = 15
    ingest_seconds: float = 6
    rules: tuple[int, ...] = (1, 100, 1_000, 10_000)
    shell: int = 1_000
    rows: tuple[int, ...] = (10_000, 1_000_000)
    requests: int = 300
    backlog: int = 100_000
    deletions: int = 3  # rounds of retention
    processes: tuple[int, ...] = (1, 2, 4)

    def scaled(self, factor: float) -> "Sizes":
        def part(count: int, least: int) -> int:
            return max(least, int(count * factor))

        return Sizes(
            rounds=self.rounds if factor >= 1 else 1,
            drain=part(self.drain, 200),
            single=part(self.single, 100),
            by_hand=part(self.by_hand, 40),
            sustain_seconds=max(1.0, self.sustain_seconds * factor),
            latency_seconds=max(1.0, self.latency_seconds * factor),
            ingest_seconds=max(0.5, self.ingest_seconds * factor),
            rules=self.rules if factor >= 1 else self.rules[:2],
            shell=part(self.shell, 20),
            rows=tuple(part(count, 1_000) for count in self.rows),
            requests=part(self.requests, 20),
            backlog=part(self.backlog, 1_000),
            deletions=self.deletions if factor >= 1 else 1,
            processes=self.processes if factor >= 1 else self.processes[:2],
        )


QUICK = Sizes(
    rounds=2, drain=4_000, single=1_000, by_hand=200, sustain_seconds=2, latency_seconds=3, ingest_seconds=2,
    rules=(1, 1_000), shell=100, rows=(10_000,), requests=60, backlog=10_000, deletions=1,
    processes=(1, 2),
)  # fmt: skip
FEEDERS, THREADS = 2, 4  # processes that record events, and threads of each when transactions are single


class Bench:
    """Hands out services on scratch databases. Only one lot runs at a time."""

    def __init__(self, server: Server, broker: str, template: str, sizes: Sizes) -> None:
        self.server, self.broker, self.template, self.sizes = server, broker, template, sizes
        self._shared: tuple[Stage, by_hand.Pipeline] | None = None
        self._open = ExitStack()

    def shared(self) -> tuple[Stage, by_hand.Pipeline]:
        """Return Attune with all its services, warm, and the hand-written pipeline beside it."""
        if self._shared is None:
            say("starting the services and the hand-written pipeline")
            try:
                self._shared = self._start_shared()
            except BaseException:
                self.close()
                raise
        return self._shared

    def _start_shared(self) -> tuple[Stage, by_hand.Pipeline]:
        enter = self._open.enter_context
        stage = enter(
            attune.running(enter(self.server.database(self.template)), self.broker, SERVICES, feeders=FEEDERS)
        )
        baseline = enter(by_hand.running(enter(self.server.database()), self.broker, cores(), FEEDERS))
        baseline.hold()
        warm(stage, self.sizes.drain // 4)
        return stage, baseline

    @contextmanager
    def alone(self, *services: str, **options: Any) -> Iterator[Stage]:
        """Yield Attune with these services on a new database, and nothing beside it."""
        self.close()
        with (
            self.server.database(self.template) as database,
            attune.running(database, self.broker, services, **options) as stage,
        ):
            yield stage

    def close(self) -> None:
        """End what is shared."""
        self._shared = None
        self._open.close()


def warm(stage: Stage, count: int) -> None:
    stage.drain(count)
    stage.single(max(50, count // 20), threads=THREADS)


def spread(values: list[float], places: int = 1) -> dict[str, float]:
    """Return median, min and max."""
    return {name: round(of(values), places) for name, of in (("median", median), ("min", min), ("max", max))}


def beside(values: list[float], baseline: list[float]) -> dict[str, float]:
    """Return what the hand-written pipeline did in the same rounds, and how often that goes into ours."""
    theirs = median(baseline)
    return {
        "baseline_median": round(theirs, 1),
        "baseline_min": round(min(baseline), 1),
        "baseline_max": round(max(baseline), 1),
        "ratio_to_baseline": round(median(values) / theirs, 1),
    }


def say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)
