"""A lair: a file that animals hold a lock of, with all their children. Whoever survives still has it.

A process id would say nothing: those of a run may be of a namespace of its own.
"""

import fcntl
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def dwell(lair: Path) -> str:
    """Return the words of a shell that moves in."""
    return f"exec 9>>{lair}; flock -s 9; echo in >&9"


def once_in(lair: Path) -> str:
    """Return the words of a shell that waits until somebody has moved in."""
    return f"until [ -s {lair} ]; do sleep 0.02; done"


def inhabited(lair: Path) -> bool:
    """Tell whether somebody who moved in still lives, or a child of it."""
    with lair.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def running(word: str) -> list[int]:
    """Return the processes that have a word among their arguments."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if word.encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found


def wait_for(condition: Callable[[], object]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)
