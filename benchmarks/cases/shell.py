"""What it costs to run a program as an action, over the program itself."""

import tempfile
from pathlib import Path
from typing import Any

from benchmarks import actions
from benchmarks.bench import Bench

WORKERS = ("worker:1", "worker:2")
REF = "bench.shell"


def shell_actions(bench: Bench) -> dict[str, Any]:
    """Run `true` from a file by core.shell on two workers; the processor time is without PostgreSQL's."""
    with tempfile.TemporaryDirectory(prefix="attune-bench-pack-") as folder:
        pack = actions.write_pack(Path(folder) / "pack")
        bare = actions.bare(["/bin/bash", str(pack / "actions/nothing.sh")])
        # A sensor, since an executor that misses other services records alerts, which somebody must decide.
        services = ("notifier", "executor", "sensor", *WORKERS)
        with bench.alone(*services, feeders=0, ATTUNE_HEARTBEAT_SECONDS="0.5") as stage:
            stage.spine.manage("load_pack", str(pack))
            found = actions.drain(stage.spine, list(WORKERS), REF, bench.sizes.shell)
            stage.settle(120)
            stage.verify_invariants()
            return {
                "unit": "runs/s",
                "median": found["runs_per_second"],
                "cpu_ms_per_run": found["in_worker"],
                "bare_cpu_ms_per_run": bare,
                "overhead_cpu_ms": round(found["in_worker"] - bare, 2),
                "repairs": stage.spine.repairs(),
            }
