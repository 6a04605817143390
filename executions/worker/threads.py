"""Threads that are kept: one started for each run, with a database connection, would cost too much."""

import queue
import threading
from collections.abc import Callable
from typing import Any

import structlog
from django.db import close_old_connections, connections

log = structlog.get_logger(__name__)
IDLE_SECONDS = 10.0  # then a thread gives back the database connection that it may have


class Threads:
    """As many threads as there is work at once; each is used again.

    A database connection that the work opens stays open for the thread's next piece, and is looked
    after: it is checked before use and closed when the thread has been idle.
    """

    def __init__(self, name: str, work: Callable[..., object]) -> None:
        self._name = name
        self._work = work
        self._pieces: queue.SimpleQueue[tuple[Any, ...] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0
        self._started: list[threading.Thread] = []

    def do(self, *piece: Any) -> None:
        """Let a thread do a piece of work. Raises RuntimeError when no more threads can be started."""
        with self._lock:
            if self._idle:
                self._idle -= 1
            else:
                self._start()
            self._pieces.put(piece)

    def _start(self) -> None:
        thread = threading.Thread(
            target=self._loop, name=f"{self._name}-{len(self._started) + 1}", daemon=True
        )
        thread.start()
        self._started.append(thread)

    def close(self, timeout: float = 60.0) -> None:
        """End the threads, each after the piece that it is at."""
        for _ in self._started:
            self._pieces.put(None)
        for thread in self._started:
            thread.join(timeout)

    def _loop(self) -> None:
        while (piece := self._next()) is not None:
            close_old_connections()
            try:
                self._work(*piece)
            except Exception:  # the thread is needed again
                log.exception("work of a thread failed", thread=threading.current_thread().name)
                connections.close_all()
            with self._lock:
                self._idle += 1
        connections.close_all()

    def _next(self) -> tuple[Any, ...] | None:
        try:
            return self._pieces.get(timeout=IDLE_SECONDS)
        except queue.Empty:
            connections.close_all()
        return self._pieces.get()
