"""Processes that record events."""

import threading
from typing import Any

import pytest

from benchmarks.feeding import feed


class Recorder:
    """Keeps what it was given, by transaction."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self._lock = threading.Lock()

    def __call__(self, payloads: list[dict[str, Any]]) -> int:
        with self._lock:
            self.batches.append([payload["n"] for payload in payloads])
        return len(payloads)


@pytest.mark.parametrize("threads", [1, 3])
def test_each_event_is_recorded_once_in_batches(threads: int) -> None:
    record = Recorder()

    told = feed(record, count=25, batch=10, threads=threads)

    assert sorted(record.batches) == [list(range(10)), list(range(10, 20)), list(range(20, 25))]
    assert told["recorded"] == 25


def test_a_rate_spreads_events_over_time() -> None:
    told = feed(Recorder(), count=10, batch=1, rate=50)

    assert told["ended"] - told["began"] >= 9 / 50


def test_an_event_that_came_late_is_told() -> None:
    gate = threading.Event()

    def slow(payloads: list[dict[str, Any]]) -> int:
        gate.wait(0.2)
        return len(payloads)

    assert feed(slow, count=3, batch=1, rate=1000)["late"] >= 0.2
