"""Measure what it costs to run a program as an action, and how many a host runs per second.

    python -m benchmarks.actions --runs 2000 --workers 2

Needs ATTUNE_TEST_DATABASE_URL, ATTUNE_TEST_BROKER_URL and ATTUNE_TEST_RABBITMQCTL (`.ci/services FILE`
writes them): it works in a database and a virtual host of its own. A backlog of actions that do nothing is
stored while the workers are cordoned; from then on the processor time of each worker with its zygote,
guards and actions is counted, and the time from the first start to the last end by the database's clock.
`bare` is the processor time of the same program started by Python's subprocess; `runner` is that of the
worker's own code for a run, without a database. Prints JSON; times in ms of processor time per run.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from executions.guard import tree
from executions.guard.client import zygote
from executions.runners import Control, Job, RunnerSettings, run
from executions.runners.job import base_python
from tests.integration.servers import free_port, fresh_database, fresh_vhost
from tests.integration.spine import Spine, until

SERVICES = ("notifier", "executor")
TICK = os.sysconf("SC_CLK_TCK")
WARM = 40  # runs that don't count
PACK = {
    "pack.yaml": "{ref: bench, label: Bench, version: 1.0.0}",
    "actions/shell.yaml": "{ref: bench.shell, label: x, runner_type: core.shell, entry_point: nothing.sh}",
    "actions/inline.yaml": "{ref: bench.inline, label: x, runner_type: core.shell, entry_point: 'true'}",
    "actions/python.yaml": "{ref: bench.python, label: x, runner_type: core.python, entry_point: nothing.py}",
    "actions/nothing.sh": "true\n",
    "actions/nothing.py": "pass\n",
}
STORE = """
import uuid
from executions.models import Action
from executions.requesting import Wanted, request_executions
action = Action.objects.get(ref="{ref}")
for start in range(0, {count}, 500):
    request_executions([Wanted(action, {{}}, uuid.uuid4()) for _ in range(min(500, {count} - start))])
"""


def main() -> None:
    arguments = parse()
    with tempfile.TemporaryDirectory() as folder:
        pack = write_pack(Path(folder) / "pack")
        found = {
            "shell": {"bare": bare(["/bin/bash", str(pack / "actions/nothing.sh")])},
            "python": {"bare": bare([base_python(), "-S", str(pack / "actions/nothing.py")])},
            "inline": {"bare": bare(["/bin/bash", str(pack / "actions/nothing.sh")])},
        }
        found["shell"]["runner"] = in_runner(pack, Path(folder))
        with fresh_database() as database, fresh_vhost() as broker:
            spine = Spine(database, broker, Path(folder), free_port(), ATTUNE_HEARTBEAT_SECONDS="0.5")
            spine.prepare()
            spine.manage("load_pack", str(pack))
            workers = [f"worker:{number}" for number in range(arguments.workers)]
            spine.start(*SERVICES, *workers)
            try:
                for name, numbers in found.items():
                    numbers.update(drain(spine, workers, f"bench.{name}", arguments.runs))
                    numbers["overhead"] = round(numbers["in_worker"] - numbers["bare"], 2)
            finally:
                spine.drop()
    print(json.dumps({**found, "asked": vars(arguments), "machine": machine()}, indent=2))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=2000, help="executions of each backlog")
    parser.add_argument("--workers", type=int, default=2, help="worker processes")
    return parser.parse_args()


def write_pack(folder: Path) -> Path:
    for name, text in PACK.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def bare(argv: list[str]) -> float:
    """Return the ms of processor time for a program that is started by subprocess, its output read."""
    return per_run(lambda: subprocess.run(argv, capture_output=True, check=True, input=b"{}\n"), own)


def in_runner(pack: Path, folder: Path) -> float:
    """Return the same for a shell file that is run as a worker does it, without what it stores."""
    os.environ["ATTUNE_SERVICE"] = "worker"
    host = RunnerSettings(artifacts_dir=folder / "left", runtime_envs_dir=folder / "envs")
    job = Job(1, "bench.shell", "bench", "core.shell", "nothing.sh", {}, pack_dir=pack, timeout_seconds=60)

    def once() -> None:
        assert run(job, Control(), host).status == "completed"

    once()
    pid = zygote(host.sandbox.pid_namespace).pid
    assert pid is not None
    return per_run(once, lambda: own() + of_tree(pid))


def per_run(once: Callable[[], Any], clock: Callable[[], float], runs: int = 200) -> float:
    for _ in range(10):
        once()
    before = clock()
    for _ in range(runs):
        once()
    return round((clock() - before) * 1000 / runs, 2)


def drain(spine: Spine, workers: list[str], ref: str, runs: int) -> dict[str, float]:
    """Let the workers run a backlog; return the processor time of each run, and how many in a second."""
    store(spine, ref, WARM)
    wait_ended(spine, ref)
    spine.sql("UPDATE worker SET cordoned = true")
    time.sleep(2)  # until each worker has heard of it
    after = int(spine.one("SELECT max(id) FROM execution"))
    store(spine, ref, runs)
    before = of_all(spine, workers)
    spine.sql("UPDATE worker SET cordoned = false")
    wait_ended(spine, ref)
    seconds = spine.one(
        "SELECT extract(epoch FROM max(finished_at) - min(started_at)) FROM execution"
        " WHERE id > %s AND status = 'completed' HAVING count(*) = %s",
        after, runs,
    )  # fmt: skip
    now = of_all(spine, workers)
    return {
        "in_worker": round((now - before) * 1000 / runs, 2),
        "runs_per_second": round(runs / float(seconds), 1),
    }


def store(spine: Spine, ref: str, count: int) -> None:
    spine.manage("shell", "-v", "0", "-c", STORE.format(ref=ref, count=count))


def wait_ended(spine: Spine, ref: str) -> None:
    left = "SELECT count(*) FROM execution WHERE finished_at IS NULL AND action_ref = %s"
    assert until(lambda: spine.one(left, ref) == 0, 900, step=1), f"{ref} never ends"


def own() -> float:
    """Return the seconds of processor time of this process and of the children that it has waited for."""
    whose = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in whose)


def of_all(spine: Spine, workers: list[str]) -> float:
    return sum(of_tree(spine.processes[name].pid) for name in workers)


def of_tree(pid: int) -> float:
    """Return the same as `used` of a process with everybody below it, none of whom may end meanwhile."""
    return sum(map(used, tree.descendants([pid])))


def used(pid: int) -> float:
    """Return the seconds of processor time of a process and of the children that it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / TICK


def machine() -> dict[str, Any]:
    return {"cores": os.cpu_count(), "load": os.getloadavg()[0], "python": platform.python_version()}


if __name__ == "__main__":
    main()
