"""Counts the statements of a process that is started with this folder in its PYTHONPATH.

Only for `./attune bench --profile`: each statement's text, how often it was sent, how long it was waited for.
"""

import json
import os
import threading
import time
from collections import defaultdict
from pathlib import Path

SERVICES = ("sensor", "executor", "worker", "notifier", "web", "beat")
LONGEST = 110
EVERY = 0.5


def name_of(statement: str) -> str:
    """Return a statement's beginning on one line; those that differ in a savepoint's name are one."""
    words = statement.split()
    return " ".join(words[:-1] if "SAVEPOINT" in words[:2] + words[-2:-1] else words)[:LONGEST]


def count(folder: Path, service: str) -> None:
    """Put a counter in front of psycopg and write its sums down from time to time."""
    import psycopg

    sums: dict[str, list[float]] = defaultdict(lambda: [0, 0.0])
    lock = threading.Lock()
    execute = psycopg.Cursor.execute

    def counting(self, query, *arguments, **options):  # type: ignore[no-untyped-def]
        began = time.perf_counter()
        try:
            return execute(self, query, *arguments, **options)
        finally:
            text = name_of(query if isinstance(query, str) else str(query))
            with lock:
                one = sums[text]
                one[0] += 1
                one[1] += time.perf_counter() - began

    def write_down() -> None:
        while True:
            time.sleep(EVERY)
            with lock:
                told = {"service": service, "statements": {text: list(one) for text, one in sums.items()}}
            new = folder / f"{os.getpid()}.new"
            new.write_text(json.dumps(told))
            new.replace(folder / f"{os.getpid()}.json")

    psycopg.Cursor.execute = counting  # type: ignore[method-assign]
    threading.Thread(target=write_down, daemon=True).start()


wanted = os.environ.get("ATTUNE_BENCH_STATEMENTS")
name = os.environ.get("ATTUNE_SERVICE", "")
if wanted and name in SERVICES:
    count(Path(wanted), name)
