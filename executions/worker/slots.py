"""The slots of a worker process: a thread for each action that waits or runs a process."""

import threading
import time
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass

import structlog
from django.db import connections

from executions.lifecycle import Claimed
from executions.runners import Control, RunnerSettings
from executions.worker.jobs import perform
from executions.worker.results import store

log = structlog.get_logger(__name__)


@dataclass
class Held:
    """A lease that a slot works under. `until` is its end by this process's clock, if never renewed."""

    control: Control
    until: float


class Slots:
    """Runs claimed executions, each in a thread of its own, at most `size` at once.

    `freed` is called in the slot's thread after its result is stored, so that a freed slot claims
    again at once.
    """

    def __init__(self, size: int, host: RunnerSettings, freed: Callable[[], object]) -> None:
        self.size = size
        self._host = host
        self._freed = freed
        self._running: dict[uuid.UUID, Held] = {}
        self._reserved = 0
        self._lock = threading.Lock()

    def reserve(self) -> int:
        """Take every free slot for a claim that is about to be made; return how many that is."""
        with self._lock:
            free = self.size - len(self._running) - self._reserved
            self._reserved += free
            return free

    def fill(self, reserved: int, claimed: list[Claimed], until: float) -> None:
        """Start what was claimed on reserved slots, under leases that last `until`; give back the rest."""
        started = [(one, Control()) for one in claimed]
        with self._lock:
            self._reserved -= reserved
            self._running.update({one.token: Held(control, until) for one, control in started})
        for one, control in started:
            self._start(one, control)

    def _start(self, claimed: Claimed, control: Control) -> None:
        thread = threading.Thread(
            target=self._run, args=(claimed, control), name=f"slot-{claimed.id}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as problem:  # no more threads: the lease ends by itself
            log.error("slot not started", execution=claimed.id, error=str(problem))
            self._forget(claimed)

    @property
    def free(self) -> int:
        with self._lock:
            return self.size - len(self._running) - self._reserved

    @property
    def busy(self) -> int:
        with self._lock:
            return len(self._running)

    def tokens(self) -> list[uuid.UUID]:
        """Return the leases that are worked under now."""
        with self._lock:
            return list(self._running)

    def apply(self, asked: Collection[uuid.UUID], leases: dict[uuid.UUID, str], until: float) -> None:
        """Note which of the leases asked about were renewed `until`; stop what is cancelled or not ours.

        What was claimed since the question is not in the answer, and is left alone.
        """
        with self._lock:
            held = {token: self._running[token] for token in asked if token in self._running}
        for token, one in held.items():
            if token not in leases:
                one.control.stop("lost")
                continue
            one.until = until
            if leases[token] == "canceling":
                one.control.stop("cancelled")

    def fence(self, margin: float) -> int:
        """Stop what runs under a lease that ends within `margin` seconds; return how much that is.

        Needs no database: an action must not go on once another worker may have been given it.
        """
        edge = time.monotonic() + margin
        with self._lock:
            ending = [one for one in self._running.values() if one.until < edge]
        for one in ending:
            one.control.stop("lost")
        return len(ending)

    def stop_all(self) -> None:
        """Stop every running job, at the end of this process."""
        with self._lock:
            controls = [one.control for one in self._running.values()]
        for control in controls:
            control.stop("shutdown")

    def wait(self, seconds: float) -> bool:
        """Wait until every slot is free, and none is about to be filled by a claim under way; return
        whether that came to be in time."""
        ends = time.monotonic() + seconds
        while self.free < self.size and time.monotonic() < ends:
            time.sleep(0.05)
        return self.free == self.size

    def _run(self, claimed: Claimed, control: Control) -> None:
        try:
            with structlog.contextvars.bound_contextvars(trace_id=str(claimed.trace_id)):
                ended = perform(claimed, control, self._host)
                # At a shutdown or after a lost lease the end is not the action's own: nothing is stored,
                # and the lease tells what becomes of it.
                if control.reason not in ("shutdown", "lost"):
                    store([ended])
        finally:
            self._forget(claimed)
            self._claim_again()

    def _forget(self, claimed: Claimed) -> None:
        with self._lock:
            self._running.pop(claimed.token, None)

    def _claim_again(self) -> None:
        try:
            self._freed()
        except Exception as problem:  # the database is away: the poll claims when it is back
            log.warning("freed slot not filled", error=f"{type(problem).__name__}: {problem}")
        finally:
            connections.close_all()
