"""Freeze and kill workers at random, under load: no two attempts of an execution may ever overlap.

    python -m tests.zoo.overlap --rounds 500 --workers 6 --seed 1

Needs ATTUNE_TEST_DATABASE_URL, ATTUNE_TEST_BROKER_URL and ATTUNE_TEST_RABBITMQCTL (`.ci/services FILE`
writes them): it works in a database and a virtual host of its own, with leases of 3 s. Every run holds an
flock that belongs to its execution, and so does a daemon that it leaves behind: an attempt that does not get
the lock overlaps. Prints JSON; ends with 1 if anything is wrong.
"""

import argparse
import json
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from executions.guard import tree
from tests.integration.servers import free_port, fresh_database, fresh_vhost
from tests.integration.spine import Spine, until
from tests.zoo.holding import (
    HOLD,
    LEASE,
    SETTINGS,
    broken_invariants,
    frozen,
    journal,
    overlaps,
    send,
)
from tests.zoo.keeper import remains

SLOTS = 4
RETRIES = 3
ACTION = {
    "ref": "overlap.hold",
    "label": "Holds the lock of its execution",
    "runner_type": "core.shell",
    "entry_point": "hold.sh",
    "idempotent": True,
    "lost_worker_retries": RETRIES,
    "parameters": {"seconds": {"type": "number"}, "stubborn": {"type": "boolean"}},
    "parameter_format": "dotenv",
}
SCRIPT = f"""\
#!/bin/bash
source /dev/stdin
{HOLD}
[ "$stubborn" = true ] && trap '' TERM
setsid sleep "86400.$ATTUNE_EXEC_ID" &
sleep "$seconds"
note end
echo "$run"
"""


@dataclass
class Found:
    """What a campaign did, and what came of it."""

    seed: int
    rounds: dict[str, int]  # of each torment
    executions: dict[str, int] = field(default_factory=dict)  # by status
    attempts: dict[str, int] = field(default_factory=dict)  # by status
    runs_begun: int = 0
    overlaps: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)  # executions with other than one right result
    left: list[str] = field(default_factory=list)  # processes
    invariants: str = ""

    @property
    def clean(self) -> bool:
        return not (self.overlaps or self.wrong or self.left or self.invariants)


class Campaign:
    """Torments each worker of a Spine in a thread of its own, until there were enough rounds."""

    def __init__(self, spine: Spine, folder: Path, workers: int, rounds: int, seed: int) -> None:
        self._spine = spine
        self._folder = folder
        self._workers = [f"worker:{number}" for number in range(1, workers + 1)]
        self._left = rounds
        self._seed = seed
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._did: Counter[str] = Counter()
        self._problems: list[BaseException] = []

    def run(self) -> Found:
        """Torment all workers, let what waits come to its end, and look at what is left."""
        token = self._spine.token()
        crowd = threading.Thread(target=self._watched, args=(self._keep_busy, token))
        tormentors = [threading.Thread(target=self._watched, args=(self._torment, w)) for w in self._workers]
        for thread in (crowd, *tormentors):
            thread.start()
        for thread in tormentors:
            thread.join()
        self._over.set()
        crowd.join()
        if self._problems:
            raise self._problems[0]
        ended = until(lambda: self._unfinished() == 0, 300)
        assert ended, f"{self._unfinished()} executions never ended"
        return self._look()

    def _watched(self, work: Callable[[str], None], argument: str) -> None:
        try:
            work(argument)
        except BaseException as problem:
            self._problems.append(problem)
            self._over.set()

    # -- load ----------------------------------------------------------------------------------

    def _keep_busy(self, token: str) -> None:
        """Have twice as many executions as there are slots, short ones and ones longer than a lease."""
        dice = random.Random(f"{self._seed}:load")
        wanted = 2 * SLOTS * len(self._workers)
        while not self._over.wait(0.2):
            for _ in range(wanted - self._unfinished()):
                parameters = {
                    "seconds": round(dice.choice((dice.uniform(0, 1), dice.uniform(0, 2 * LEASE))), 2),
                    "stubborn": dice.random() < 0.3,
                }
                body = {"action_ref": ACTION["ref"], "parameters": parameters}
                status, answer = self._spine.post("/api/v1/executions/execute", body, token)
                assert status == 201, answer

    def _unfinished(self) -> int:
        return int(
            self._spine.one(
                "SELECT count(*) FROM execution WHERE action_ref = %s AND finished_at IS NULL", ACTION["ref"]
            )
        )

    # -- torments ------------------------------------------------------------------------------

    def _torment(self, worker: str) -> None:
        """Freeze or kill a worker whenever it is in its stride; first freeze it longer than a lease."""
        dice = random.Random(f"{self._seed}:{worker}")
        torment: Callable[[str, random.Random], None] = self._outlast
        while not self._over.is_set() and self._one_more(torment.__name__.strip("_")):
            time.sleep(dice.uniform(0.2, LEASE / 2))
            torment(worker, dice)
            (torment,) = dice.choices(
                (self._freeze, self._kill, self._freeze_then_kill, self._kill_zygote, self._freeze_zygote),
                weights=(50, 20, 10, 10, 10),
            )

    def _one_more(self, name: str) -> bool:
        with self._lock:
            if self._left <= 0:
                return False
            self._left -= 1
            self._did[name] += 1
            return True

    def _outlast(self, worker: str, dice: random.Random) -> None:
        with frozen(self._pid(worker)):
            time.sleep(dice.uniform(1.1, 2) * LEASE)

    def _freeze(self, worker: str, dice: random.Random) -> None:
        with frozen(self._pid(worker)):
            time.sleep(dice.uniform(0, 2) * LEASE)

    def _kill(self, worker: str, dice: random.Random) -> None:
        self._spine.kill(worker)
        time.sleep(dice.uniform(0, 1))
        self._spine.start(worker)

    def _freeze_then_kill(self, worker: str, dice: random.Random) -> None:
        with frozen(self._pid(worker)):
            time.sleep(dice.uniform(0, 1.5 * LEASE))
            self._spine.kill(worker)
        self._spine.start(worker)

    def _kill_zygote(self, worker: str, dice: random.Random) -> None:
        """Kill a worker's children and not the worker: it has another one when it needs it."""
        send(signal.SIGKILL, *tree.children(self._pid(worker)))
        time.sleep(dice.uniform(0, LEASE))

    def _freeze_zygote(self, worker: str, dice: random.Random) -> None:
        """Freeze a worker's children, then the worker, too: the guards of its runs are alone."""
        with frozen(*tree.children(self._pid(worker))):
            time.sleep(dice.uniform(0, 0.5))
            with frozen(self._pid(worker)):
                time.sleep(dice.uniform(0, 1.5 * LEASE))

    def _pid(self, worker: str) -> int:
        return self._spine.processes[worker].pid

    # -- the end -------------------------------------------------------------------------------

    def _look(self) -> Found:
        noted = journal(self._folder)
        rows = self._spine.sql(
            "SELECT x.id, x.status, x.result ->> 'stdout', array_agg(t.status ORDER BY t.number)"
            " FROM execution x JOIN attempt t ON t.execution_id = x.id WHERE x.action_ref = %s GROUP BY x.id",
            [ACTION["ref"]],
        )
        ended = {run for kind, _, run, _ in noted if kind == "end"}
        until(lambda: not remains(self._folder), 60)
        return Found(
            seed=self._seed,
            rounds=dict(self._did),
            executions=dict(Counter(status for _, status, _, _ in rows)),
            attempts=dict(Counter(status for *_, tries in rows for status in tries)),
            runs_begun=sum(kind == "begin" for kind, *_ in noted),
            overlaps=overlaps(self._folder),
            wrong=[str(row) for row in rows if not _is_right(*row, ended)],
            left=remains(self._folder),
            invariants=broken_invariants(self._spine),
        )


def _is_right(row_id: int, status: str, stdout: str | None, tries: list[str], ended: set[str]) -> bool:
    """Tell whether an execution has the one result of a run that came to its end, or was lost too often."""
    lost = tries.count("abandoned")
    if status == "completed":
        run = (stdout or "").strip()
        return tries == ["abandoned"] * lost + ["completed"] and lost <= RETRIES and run in ended
    return status == "abandoned" and tries == ["abandoned"] * (RETRIES + 1)


def write_pack(folder: Path) -> Path:
    pack = folder / "pack"
    (pack / "actions").mkdir(parents=True)
    (folder / "locks").mkdir()
    (pack / "pack.yaml").write_text(
        yaml.safe_dump({"ref": "overlap", "label": "Overlap", "version": "1.0.0"})
    )
    (pack / "actions" / "hold.yaml").write_text(yaml.safe_dump(ACTION))
    (pack / "actions" / "hold.sh").write_text(SCRIPT.replace("FOLDER", str(folder)))
    return pack


def torment(folder: Path, workers: int, rounds: int, seed: int) -> Found:
    """Run a campaign with everything of its own in `folder`."""
    with fresh_database() as database, fresh_vhost() as broker:
        spine = Spine(database, broker, folder, free_port(), ATTUNE_WORKER_SLOTS=str(SLOTS), **SETTINGS)
        spine.prepare()
        spine.manage("load_pack", str(write_pack(folder)))
        try:
            names = [f"worker:{number}" for number in range(1, workers + 1)]
            spine.start("executor", "sensor", "beat", "web", *names)
            return Campaign(spine, folder, workers, rounds, seed).run()
        finally:
            spine.drop()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=500, help="freezes and kills")
    parser.add_argument("--workers", type=int, default=6, help="workers that are tormented at once")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="overlap-") as folder:
        began = time.monotonic()
        found = torment(Path(folder), arguments.workers, arguments.rounds, arguments.seed)
    report: dict[str, Any] = {**asdict(found), "seconds": round(time.monotonic() - began)}
    print(json.dumps(report, indent=2))
    return 0 if found.clean else 1


if __name__ == "__main__":
    sys.exit(main())
