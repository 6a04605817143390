"""The slots of a worker process: what it runs at once, of two kinds, each run on a thread of a pool.

An action of a process slot runs a program; one of an in-worker slot only waits (core.sleep,
core.http_request), so there are more of those, and they never keep a program waiting.
"""

import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

import structlog
from django.db import connections

from attune_project.faults import fault
from executions import lifecycle
from executions.lifecycle import Claimed, Ended
from executions.runners import Control, RunnerSettings
from executions.worker.finisher import Finisher
from executions.worker.jobs import perform
from executions.worker.threads import Threads

log = structlog.get_logger(__name__)
Kind = Literal["process", "inside"]
NOT_BEGUN = "waiting to be scheduled again: the worker that took it could start no thread for it"


@dataclass(frozen=True)
class Room:
    """A number of slots of each kind."""

    process: int
    inside: int

    def __bool__(self) -> bool:
        return self.process > 0 or self.inside > 0

    @property
    def total(self) -> int:
        return self.process + self.inside


@dataclass
class Held:
    """A lease that a slot works under. `until` is its end by this process's clock, if never renewed."""

    control: Control
    kind: Kind
    until: float


class Slots:
    """Runs claimed executions, at most `size` of each kind at once.

    A slot is taken until the end of its run is stored; then `freed` is called, in the thread that
    stored it, so that a freed slot is filled again at once.
    """

    def __init__(self, size: Room, host: RunnerSettings, freed: Callable[[], object]) -> None:
        self._size = size
        self._host = host
        self._running: dict[uuid.UUID, Held] = {}
        self._reserved = Room(0, 0)
        self._changed = threading.Condition()
        self._threads = Threads("slot", self._run)
        self._finisher = Finisher(self._forget, freed)

    @property
    def size(self) -> Room:
        return self._size

    def resize(self, process: int) -> None:
        """Have so many process slots from now on; what runs beyond them runs to its end."""
        with self._changed:
            self._size = Room(process, self._size.inside)
            self._changed.notify_all()

    def reserve(self) -> Room:
        """Take every free slot for a claim that is about to be made; return how many that is."""
        with self._changed:
            free = self._free()
            self._reserved = Room(self._reserved.process + free.process, self._reserved.inside + free.inside)
            return free

    def fill(self, reserved: Room, claimed: list[Claimed], until: float) -> None:
        """Start what was claimed on reserved slots, under leases that last `until`; give back the rest."""
        started = [(one, Held(Control(until), kind_of(one), until)) for one in claimed]
        with self._changed:
            self._reserved = Room(
                self._reserved.process - reserved.process, self._reserved.inside - reserved.inside
            )
            self._running.update({one.token: held for one, held in started})
            self._changed.notify_all()
        for one, held in started:
            self._start(one, held)

    def _start(self, claimed: Claimed, held: Held) -> None:
        try:
            self._threads.do(claimed, held)
        except RuntimeError as problem:  # no more threads
            log.error("slot not started", execution=claimed.id, error=str(problem))
            give_back(claimed)
            self._forget([claimed])

    @property
    def free(self) -> Room:
        with self._changed:
            return self._free()

    def _free(self) -> Room:
        taken = Counter(held.kind for held in self._running.values())
        return Room(
            max(0, self._size.process - taken["process"] - self._reserved.process),
            max(0, self._size.inside - taken["inside"] - self._reserved.inside),
        )

    @property
    def busy(self) -> Room:
        with self._changed:
            taken = Counter(held.kind for held in self._running.values())
        return Room(taken["process"], taken["inside"])

    @property
    def full(self) -> bool:
        """Whether a kind of slot is taken whole; a claim that is under way counts for nothing yet."""
        busy = self.busy
        return busy.process >= self._size.process or busy.inside >= self._size.inside

    @property
    def idle(self) -> bool:
        """Whether nothing runs and nothing is about to."""
        with self._changed:
            return not self._running and not self._reserved

    def tokens(self) -> list[uuid.UUID]:
        """Return the leases that are worked under now."""
        with self._changed:
            return list(self._running)

    def apply(self, asked: Collection[uuid.UUID], leases: dict[uuid.UUID, str], until: float) -> None:
        """Note which of the leases asked about were renewed `until`; stop what is cancelled or not ours.

        What was claimed since the question is not in the answer, and is left alone.
        """
        with self._changed:
            held = {token: self._running[token] for token in asked if token in self._running}
        for token, one in held.items():
            if token not in leases:
                one.control.stop("lost")
                continue
            one.until = until
            one.control.extend(until)
            if leases[token] == "canceling":
                one.control.stop("cancelled")

    def cancel(self, tokens: Collection[uuid.UUID]) -> None:
        """Stop what runs under these leases: somebody asked for it."""
        with self._changed:
            found = [self._running[token] for token in tokens if token in self._running]
        for one in found:
            one.control.stop("cancelled")

    def fence(self, margin: float) -> int:
        """Stop what runs under a lease that ends within `margin` seconds; return how much that is.

        Needs no database: an action must not go on once another worker may have been given it.
        """
        edge = time.monotonic() + margin
        with self._changed:
            ending = [one for one in self._running.values() if one.until < edge]
        for one in ending:
            one.control.stop("lost")
        return len(ending)

    def stop_all(self) -> None:
        """Stop every running job, at the end of this process."""
        with self._changed:
            controls = [one.control for one in self._running.values()]
        for control in controls:
            control.stop("shutdown")

    def wait(self, seconds: float) -> bool:
        """Wait until every slot is free, and none is about to be filled by a claim under way; return
        whether that came to be in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._running and not self._reserved, seconds)

    def close(self) -> None:
        """End the threads of the slots, once they are free."""
        self._threads.close()
        self._finisher.close()

    def _run(self, claimed: Claimed, held: Held) -> None:
        ended: Ended | None = None
        try:
            with structlog.contextvars.bound_contextvars(trace_id=str(claimed.trace_id)):
                fault("run.before_start")
                ended = perform(claimed, held.control, self._host)
                fault("run.after_end")
        finally:
            # At a shutdown or after a lost lease the end is not the action's own: nothing is stored,
            # and the lease tells what becomes of it.
            stored = None if held.control.reason in ("shutdown", "lost") else ended
            self._finisher.take(claimed, stored)

    def _forget(self, claimed: Collection[Claimed]) -> None:
        with self._changed:
            for one in claimed:
                self._running.pop(one.token, None)
            self._changed.notify_all()


def give_back(claimed: Claimed) -> None:
    """Let another claim have what can't be begun here; else the lease ends by itself."""
    try:
        lifecycle.hand_back(claimed.id, claimed.token, NOT_BEGUN)
    except Exception as problem:  # the database is away
        log.error("not handed back", execution=claimed.id, error=f"{type(problem).__name__}: {problem}")
        connections.close_all()


def kind_of(claimed: Claimed) -> Kind:
    """Return the kind of slot that a claimed execution takes."""
    return "inside" if (claimed.action or {}).get("runtime_ref") == "core.builtin" else "process"
