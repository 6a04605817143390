"""The slots of a worker process: a thread for each action that waits or runs a process."""

import threading
import time
import uuid
from collections.abc import Callable

import structlog
from django.db import connections

from executions import lifecycle
from executions.lifecycle import Claimed, Ended
from executions.runners import Control, RunnerSettings
from executions.worker.jobs import perform

log = structlog.get_logger(__name__)
LONGEST_PAUSE = 2.0


class Slots:
    """Runs claimed executions, each in a thread of its own, at most `size` at once.

    `freed` is called in the slot's thread after its result is stored, so that a freed slot claims
    again at once.
    """

    def __init__(self, size: int, host: RunnerSettings, freed: Callable[[], object]) -> None:
        self.size = size
        self._host = host
        self._freed = freed
        self._running: dict[uuid.UUID, Control] = {}
        self._reserved = 0
        self._lock = threading.Lock()

    def reserve(self) -> int:
        """Take every free slot for a claim that is about to be made; return how many that is."""
        with self._lock:
            free = self.size - len(self._running) - self._reserved
            self._reserved += free
            return free

    def fill(self, reserved: int, claimed: list[Claimed]) -> None:
        """Start what was claimed on reserved slots, and give back the rest."""
        controls = [(one, Control()) for one in claimed]
        with self._lock:
            self._reserved -= reserved
            self._running.update({one.token: control for one, control in controls})
        for one, control in controls:
            threading.Thread(
                target=self._run, args=(one, control), name=f"slot-{one.id}", daemon=True
            ).start()

    @property
    def free(self) -> int:
        with self._lock:
            return self.size - len(self._running) - self._reserved

    @property
    def busy(self) -> int:
        with self._lock:
            return len(self._running)

    def apply(self, leases: dict[uuid.UUID, str]) -> None:
        """Stop what is to be cancelled, and what is no longer ours."""
        with self._lock:
            running = list(self._running.items())
        for token, control in running:
            status = leases.get(token)
            if status == "canceling":
                control.stop("cancelled")
            elif status is None:
                control.stop("lost")

    def stop_all(self, reason: str) -> None:
        """Stop every running job: `lost` when the leases can't be renewed, `shutdown` at the end."""
        with self._lock:
            controls = list(self._running.values())
        for control in controls:
            control.stop("lost" if reason == "lost" else "shutdown")

    def wait(self, seconds: float) -> bool:
        """Wait until every slot is free; return whether that came to be in time."""
        ends = time.monotonic() + seconds
        while self.busy and time.monotonic() < ends:
            time.sleep(0.05)
        return not self.busy

    def _run(self, claimed: Claimed, control: Control) -> None:
        try:
            with structlog.contextvars.bound_contextvars(trace_id=str(claimed.trace_id)):
                ended = perform(claimed, control, self._host)
                # At a shutdown or after a lost lease the end is not the action's own: nothing is stored,
                # and the lease tells what becomes of it.
                if control.reason not in ("shutdown", "lost"):
                    store(ended)
        finally:
            with self._lock:
                self._running.pop(claimed.token, None)
            try:
                self._freed()
            finally:
                connections.close_all()


def store(ended: Ended) -> None:
    """Store an end, trying again while the database is away; the lease decides whether it still counts."""
    pause = 0.1
    while True:
        try:
            if not lifecycle.finish([ended]):
                log.warning("result came after its lease", execution=ended.execution_id)
            return
        except Exception as problem:  # whatever it is, the result must not be dropped while the lease lives
            log.warning("result not stored yet", execution=ended.execution_id, error=str(problem))
            connections.close_all()
            if pause > 60:
                return
            time.sleep(min(pause, LONGEST_PAUSE))
            pause *= 2
