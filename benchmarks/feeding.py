"""Processes that record events: what they do when told, and how to tell them.

A command is a line of JSON on their standard input, `{"count", "batch", "rate", "threads"}`; the answer is
one on their standard output: how many were recorded, between which times, by how much the last was late.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
ATTUNE, BASELINE = "benchmarks.producer", "benchmarks.baseline.producer"
PAYLOAD = {
    "alert": "cpu_high", "host": "web-042.example.internal", "value": 93.7, "ids": [1, 2, 3, 4, 5],
    "tags": {"env": "prod", "team": "core", "dc": "eu-1"},
    "message": "load average over the last five minutes is above what was agreed for this host" * 2,
}  # fmt: skip

Record = Callable[[list[dict[str, Any]]], int]


def serve(record: Record) -> None:
    """Be a producer until standard input ends. `record` stores payloads in one transaction."""
    record([])  # whatever is set up at first use
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(feed(record, **json.loads(line))), flush=True)


def feed(record: Record, count: int, batch: int, rate: float = 0, threads: int = 1) -> dict[str, Any]:
    """Record events by batches; at a rate (per second, 0: no limit) each has its time, kept or late."""
    starts = iter(range(0, count, batch))
    lock = threading.Lock()
    recorded, late = 0, 0.0
    began = time.time()

    def go_on() -> None:
        nonlocal recorded, late
        while True:
            with lock:
                start = next(starts, None)
            if start is None:
                return
            due = began + start / rate if rate else 0.0
            time.sleep(max(0.0, due - time.time()))
            stored = record([{**PAYLOAD, "n": n} for n in range(start, min(count, start + batch))])
            with lock:
                recorded += stored
                late = max(late, time.time() - due) if rate else 0.0

    others = [threading.Thread(target=go_on) for _ in range(threads - 1)]
    for other in others:
        other.start()
    go_on()
    for other in others:
        other.join()
    return {"recorded": recorded, "began": began, "ended": time.time(), "late": late}


class Feed:
    """Some producers that work together."""

    def __init__(self, processes: Sequence[subprocess.Popen[str]]) -> None:
        self.processes = processes
        for process in processes:
            _answer(process)

    def begin(self, count: int, *, batch: int, rate: float = 0, threads: int = 1) -> None:
        """Start recording: together `count` events at `rate`."""
        number = len(self.processes)
        for place, process in enumerate(self.processes):
            share = count // number + (place < count % number)
            told = {"count": share, "batch": batch, "rate": rate / number, "threads": threads}
            _send(process, told)

    def end(self) -> dict[str, Any]:
        """Wait until all is recorded; return what was, since when, until when, and how late."""
        answers = [_answer(process) for process in self.processes]
        return {
            "recorded": sum(answer["recorded"] for answer in answers),
            "began": min(answer["began"] for answer in answers),
            "seconds": max(a["ended"] for a in answers) - min(a["began"] for a in answers),
            "late": max(answer["late"] for answer in answers),
        }

    def record(self, count: int, *, batch: int = 500, threads: int = 1) -> dict[str, Any]:
        self.begin(count, batch=batch, threads=threads)
        return self.end()


@contextmanager
def producers(module: str, environment: dict[str, str], number: int = 1) -> Iterator[Feed]:
    """Start producers and yield them, ready; end them."""
    known = {
        **environment,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), environment.get("PYTHONPATH")])),
    }
    started = [
        subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=ROOT, env=known, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(number)
    ]  # fmt: skip
    try:
        yield Feed(started)
    finally:
        for process in started:
            process.kill()
            process.communicate()


def _send(process: subprocess.Popen[str], told: dict[str, Any]) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(told) + "\n")
    process.stdin.flush()


def _answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"a producer ended ({process.wait()}): see its lines above")
    answer: dict[str, Any] = json.loads(line)
    return answer
