"""More workers and executors: does it ever get slower, and where does the time go."""

from itertools import pairwise
from typing import Any

from benchmarks.bench import Bench, spread, warm
from benchmarks.cases.pipeline import repairs_counted
from benchmarks.machine import cores


def scale(bench: Bench) -> dict[str, Any]:
    """Drain backlogs with 1, 2, 4 of both; report what each event costs and how busy the cores were."""
    found: dict[str, Any] = {"unit": "events/s"}
    medians: list[float] = []
    with bench.alone("notifier", "worker", "executor", "sensor", "web", feeders=2) as stage:
        for number in bench.sizes.processes:
            more = [f"{name}:{place}" for name in ("worker", "executor") for place in range(2, number + 1)]
            stage.spine.start(*(name for name in more if name not in stage.spine.processes))
            warm(stage, bench.sizes.drain // 4)
            with repairs_counted(stage) as repairs:
                rounds = [stage.drain(bench.sizes.drain) for _ in range(max(1, bench.sizes.rounds - 1))]
            rates = [one["events_per_second"] for one in rounds]
            cpu = rounds[-1]["cpu_ms_per_event"]
            found[f"with_{number}"] = {
                **spread(rates),
                "cpu_ms_per_event": cpu,
                "cores_busy": round(cpu["sum"] * rates[-1] / 1000 / cores(), 2),
                **repairs,
            }
            medians.append(found[f"with_{number}"]["median"])
    steps = [round(now / before, 2) for before, now in pairwise(medians)]
    return {**found, "median": max(medians), "each_step": steps}
