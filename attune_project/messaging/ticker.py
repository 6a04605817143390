"""Work that a service does by the clock, in threads of its own and without the broker."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from django.db import connections

from attune_project.service import SERVICES

log = structlog.get_logger(__name__)
Tick = Callable[[], object]


@dataclass
class Entry:
    run: Tick
    seconds: Callable[[], float]
    services: tuple[str, ...]
    thread: str
    due: float = 0.0


_entries: list[Entry] = []


def every(
    seconds: Callable[[], float] | float, *, services: tuple[str, ...] = SERVICES, thread: str = "ticks"
) -> Callable[[Tick], Tick]:
    """Register a function to be called every so many seconds in these services.

    Entries of one `thread` name share a thread, so that a long poll does not hold up a heartbeat.
    """

    def register(run: Tick) -> Tick:
        interval = seconds if callable(seconds) else lambda: seconds
        _entries.append(Entry(run, interval, services, thread))
        return run

    return register


class Ticker(threading.Thread):
    """One thread of ticks. A failing tick is logged and tried again at its next time."""

    def __init__(self, name: str, entries: list[Entry]) -> None:
        super().__init__(name=name, daemon=True)
        self._entries = entries
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.is_set():
            for entry in self._entries:
                if time.monotonic() >= entry.due:
                    self._tick(entry)
            pause = min(entry.due for entry in self._entries) - time.monotonic()
            self._stopped.wait(max(0.01, pause))
        connections.close_all()

    def _tick(self, entry: Entry) -> None:
        name = getattr(entry.run, "__name__", str(entry.run))
        try:
            entry.run()
        except Exception as problem:  # a tick must never end the thread
            log.warning("tick failed", tick=name, error=f"{type(problem).__name__}: {problem}")
            connections.close_all()
        entry.due = time.monotonic() + entry.seconds()

    def stop(self) -> None:
        self._stopped.set()


def start(service: str) -> list[Ticker]:
    """Start the ticks of a service; return their threads."""
    groups: dict[str, list[Entry]] = {}
    for entry in _entries:
        if service in entry.services:
            groups.setdefault(entry.thread, []).append(entry)
    tickers = [Ticker(name, entries) for name, entries in groups.items()]
    for ticker in tickers:
        ticker.start()
    return tickers
