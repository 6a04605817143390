"""Actions that hold a lock of their execution while anybody of a run lives, and a journal of their runs.

An attempt that does not get the lock overlaps with one before it.
"""

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.integration.spine import Spine

LEASE = 3.0  # seconds
SETTINGS = {
    "ATTUNE_LEASE_SECONDS": f"{LEASE:g}",
    "ATTUNE_HEARTBEAT_SECONDS": "0.5",
    "ATTUNE_POLL_SECONDS": "1",
}
# How a script of theirs begins; `note end` is for its last line but one. FOLDER is the campaign's.
HOLD = """\
run=$ATTUNE_EXEC_ID.$RANDOM$RANDOM$RANDOM
note() { read -r boottime _ </proc/uptime; echo "$1 $ATTUNE_EXEC_ID $run $boottime" >>FOLDER/journal; }
exec 9>>"FOLDER/locks/$ATTUNE_EXEC_ID"
flock -n 9 || note overlap
note begin
"""


def journal(folder: Path) -> list[tuple[str, int, str, float]]:
    """Return what runs noted: begin, overlap or end; the execution; the run; the host's seconds."""
    path = folder / "journal"
    lines = path.read_text().splitlines() if path.exists() else []
    return [
        (kind, int(row_id), run, float(seconds)) for kind, row_id, run, seconds in (x.split() for x in lines)
    ]


def overlaps(folder: Path) -> list[str]:
    return [" ".join(map(str, line)) for line in journal(folder) if line[0] == "overlap"]


def held_locks(folder: Path) -> list[str]:
    """Return the executions of which somebody still lives."""
    return [path.name for path in (folder / "locks").iterdir() if _is_held(path)]


def _is_held(path: Path) -> bool:
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextmanager
def frozen(*pids: int) -> Iterator[None]:
    """Stop processes for a while; whoever is gone by then is gone."""
    send(signal.SIGSTOP, *pids)
    try:
        yield
    finally:
        send(signal.SIGCONT, *pids)


def send(signum: signal.Signals, *pids: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signum)


def broken_invariants(spine: Spine) -> str:
    """Return what check_invariants finds once what is under way has had its time."""
    found = ""
    for _ in range(20):
        found = spine.invariants()
        if not found:
            break
        time.sleep(3)
    return found
