"""Answers that nobody waits for too long: worked out in a thread of their own, and kept for a while."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from django.db import connections

T = TypeVar("T")


class Bounded(Generic[T]):
    """A value that is worked out at most once at a time, kept for `keep` s, waited for at most `patience` s.

    However many ask while a database or broker hangs, one thread hangs with it.
    """

    def __init__(self, work: Callable[[], T], *, keep: float, patience: float) -> None:
        self._work = work
        self._keep = keep
        self._patience = patience
        self._lock = threading.Lock()
        self._future: Future[T] | None = None
        self._ended = 0.0

    def get(self) -> T:
        """Return the value. Raises TimeoutError, or what the work raised."""
        return self._current().result(self._patience)

    def forget(self) -> None:
        """Work it out anew at the next look."""
        with self._lock:
            self._future = None

    def _current(self) -> "Future[T]":
        with self._lock:
            future = self._future
            if future is None or (future.done() and time.monotonic() - self._ended > self._keep):
                future = self._future = self._start()
            return future

    def _start(self) -> "Future[T]":
        future: Future[T] = Future()
        threading.Thread(target=self._run, args=[future], name="bounded", daemon=True).start()
        return future

    def _run(self, future: "Future[T]") -> None:
        value: T
        problem: Exception | None = None
        try:
            value = self._work()
        except Exception as raised:  # it belongs to whoever asks
            problem = raised
        connections.close_all()
        self._ended = time.monotonic()
        if problem is None:
            future.set_result(value)
        else:
            future.set_exception(problem)
