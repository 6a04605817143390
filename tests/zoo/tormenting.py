"""Kill or freeze somebody of a running Attune: a service, or what a worker has started."""

import random
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from executions.guard import tree
from tests.integration.spine import Spine, until
from tests.zoo.holding import LEASE, frozen, send
from tests.zoo.judging import Torment

WORKERS = ("worker:1", "worker:2")
EXECUTORS = ("executor:1", "executor:2")
SERVICES = {"worker": WORKERS, "executor": EXECUTORS, "sensor": ("sensor",)}
# One worker's guards are the inits of PID namespaces, where root may make them; the other's are not.
SETTINGS_OF = {"worker:2": {"ATTUNE_RUN_PID_NAMESPACE": "0"}}
VICTIMS = (*SERVICES, "zygote", "guard", "action")
WAYS = ("kill", "freeze")
PATIENCE = 60.0  # s for one to torment to be there


@dataclass(frozen=True)
class Found:
    """A process to torment; `worker` and `row_id` as in Torment."""

    pid: int
    worker: int = 0
    row_id: int = 0


class Tormentor:
    """Goes through all victims and ways, in an order of its seed's: first it kills each, then it freezes."""

    def __init__(self, spine: Spine, seed: int) -> None:
        self._spine = spine
        self._dice = random.Random(seed)
        self._deck = self._shuffled()
        self.zygotes: set[int] = set()  # of workers that were killed

    def _shuffled(self) -> Iterator[tuple[str, str]]:
        while True:
            for way in WAYS:
                for victim in self._dice.sample(VICTIMS, len(VICTIMS)):
                    yield way, victim

    def turn(self) -> Torment:
        """Wait a moment, then torment whose turn it is."""
        way, victim = next(self._deck)
        time.sleep(self._dice.uniform(0.1, LEASE / 2))
        if victim in SERVICES:
            return self._torment_service(way, victim)
        found, began = self._somebody(victim), time.time()
        with frozen(found.pid):
            if way == "kill":
                send(signal.SIGKILL, found.pid)
            else:
                self._sleep()
        return Torment(way, victim, began, time.time(), found.worker, found.row_id)

    def _torment_service(self, way: str, victim: str) -> Torment:
        name = self._dice.choice(SERVICES[victim])
        pid, began = self._pid(name), time.time()
        if way == "kill":
            self.zygotes |= set(tree.children(pid)) if victim == "worker" else set()
            self._spine.kill(name)
            self._spine.launch(name, **SETTINGS_OF.get(name, {}))
        else:
            with frozen(pid):
                self._sleep()
        return Torment(way, victim, began, time.time(), pid if victim == "worker" else 0)

    def _sleep(self) -> None:
        """Outlast a lease."""
        time.sleep(LEASE * self._dice.uniform(1.1, 1.8))

    def _somebody(self, victim: str) -> Found:
        """Return one who stands still: a guard goes on from run to run."""
        found: list[Found] = []

        def look() -> bool:
            everybody = self._all(victim)
            found[:] = self._dice.sample(everybody, min(1, len(everybody)))
            send(signal.SIGSTOP, *(one.pid for one in found))
            if found and found[0] in self._all(victim):
                return True
            send(signal.SIGCONT, *(one.pid for one in found))
            return False

        assert until(look, PATIENCE, step=0.02), f"there is no {victim}"
        return found[0]

    def _all(self, victim: str) -> list[Found]:
        workers = [self._pid(name) for name in WORKERS]
        zygotes = [(worker, pid) for worker in workers for pid in tree.children(worker)]
        if victim == "zygote":
            return [Found(pid, worker) for worker, pid in zygotes]
        runs = [(worker, guard) for worker, zygote in zygotes for guard in tree.children(zygote)]
        return [
            Found(guard if victim == "guard" else action, worker, row_id)
            for worker, guard in runs
            for action in tree.children(guard)[:1]
            if (row_id := _execution_of(action))
        ]

    def _pid(self, name: str) -> int:
        return self._spine.processes[name].pid


def _execution_of(pid: int) -> int:
    """Return the execution that a process was started for; 0 if that can't be told."""
    with suppress(OSError):
        for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            name, _, value = entry.partition(b"=")
            if name == b"ATTUNE_EXEC_ID":
                return int(value)
    return 0
