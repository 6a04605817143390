"""Store how the runs of all slots end, in one thread: what ends at about the same time is stored together.

An idle worker's run is stored at once; under load the runs that end while one transaction is under way
share the next.
"""

import queue
import threading
from collections.abc import Callable

import structlog
from django.db import connections

from executions.lifecycle import Claimed, Ended
from executions.worker.results import store

log = structlog.get_logger(__name__)
Over = tuple[Claimed, Ended | None]


class Finisher:
    """Stores ends, forgets their leases, and then lets the freed slots be filled.

    `forget` and `freed` are called in its thread, which has a database connection of its own.
    """

    def __init__(self, forget: Callable[[list[Claimed]], object], freed: Callable[[], object]) -> None:
        self._forget = forget
        self._freed = freed
        self._over: queue.SimpleQueue[Over | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def take(self, claimed: Claimed, ended: Ended | None) -> None:
        """Take over a run that is over; None when there is nothing of it to store."""
        if self._going():
            self._over.put((claimed, ended))
        else:
            self._finish([(claimed, ended)])

    def _going(self) -> bool:
        """Tell whether there is a thread; where no more can be had now, the run's own must do."""
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._loop, name="finisher", daemon=True)
                try:
                    thread.start()
                except RuntimeError as problem:
                    log.warning("finisher not started", error=str(problem))
                    return False
                self._thread = thread
        return True

    def close(self, timeout: float = 60.0) -> None:
        """End the thread, after what it has taken."""
        if self._thread is not None:
            self._over.put(None)
            self._thread.join(timeout)

    def _loop(self) -> None:
        going = True
        while going:
            over, going = self._gather()
            self._finish(over)
        connections.close_all()

    def _gather(self) -> tuple[list[Over], bool]:
        """Wait for an end, then take all that are there; the flag is False at the end of the thread."""
        taken = [self._over.get()]
        while not self._over.empty():
            taken.append(self._over.get())
        over = [one for one in taken if one is not None]
        return over, len(over) == len(taken)

    def _finish(self, over: list[Over]) -> None:
        try:
            store([ended for _, ended in over if ended is not None])
        except Exception as problem:  # their leases end by themselves
            log.exception("results lost", executions=[claimed.id for claimed, _ in over], error=str(problem))
            connections.close_all()
        self._forget([claimed for claimed, _ in over])
        try:
            self._freed()
        except Exception as problem:  # the database is away: the poll claims when it is back
            log.warning("freed slot not filled", error=f"{type(problem).__name__}: {problem}")
            connections.close_all()
