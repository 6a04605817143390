"""A long backlog: is it drained as fast as a short one, and does any process grow meanwhile."""

from typing import Any

from benchmarks.bench import Bench
from benchmarks.cases.pipeline import repairs_counted
from benchmarks.meters import memory

MOST_MIB = 300


def backlog(bench: Bench) -> dict[str, Any]:
    """Compare the rates of a long and a short backlog; sample the memory of each process all the while."""
    stage, _ = bench.shared()
    with repairs_counted(stage) as repairs:
        steady = [stage.drain(bench.sizes.drain)["events_per_second"]]
        with memory(stage.pids()) as of_each:
            long = stage.drain(bench.sizes.backlog, batch=1000)
        steady.append(stage.drain(bench.sizes.drain)["events_per_second"])
    rate = long["events_per_second"]
    most = max(one["max_mib"] for one in of_each.values())
    return {
        "unit": "events/s",
        "events": bench.sizes.backlog,
        "median": round(rate, 1),
        "steady": round(sum(steady) / len(steady), 1),
        "part_of_steady": round(rate / (sum(steady) / len(steady)), 2),
        "memory": of_each,
        "largest_mib": most,
        "below_limit": most <= MOST_MIB,
        **repairs,
    }
