"""Signal everybody of a run. Called by its guard, whose descendants they all are."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from contextlib import suppress
from functools import cache
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM

from executions.guard import linux

ROUNDS = 20  # of looking for whom a fork made while others were stopped


def terminate(spared: Collection[int] = ()) -> None:
    """Send SIGTERM to all descendants but the spared; wake the stopped, or they would never act on it."""
    if os.getpid() == 1 and not spared:
        for number in (SIGTERM, SIGCONT):
            with suppress(ProcessLookupError):
                os.kill(-1, number)
        return
    pids = [pid for pid in descendants(children(os.getpid())) if pid not in spared]
    _signal(pids, SIGTERM)
    _signal(pids, SIGCONT)


def strike(spared: Collection[int] = ()) -> None:
    """Kill all children but the spared, with their descendants. Whoever they made meanwhile may be left:
    call it until there is no child.

    The init of a PID namespace gets all of them at once. Elsewhere they are stopped before they are
    killed: what forks faster than it is found would go on for ever.
    """
    if os.getpid() == 1:
        with suppress(ProcessLookupError):
            os.kill(-1, SIGKILL)
        return
    stopped: set[int] = set()
    for _round in range(ROUNDS):
        heirs = [pid for pid in children(os.getpid()) if pid not in spared]
        # At once: the head of a chain that forks and exits is here for a moment only.
        _signal((pid for pid in heirs if pid not in stopped), SIGKILL)
        new = set(descendants(heirs)) - stopped
        if not new:
            break
        _signal(new, SIGSTOP)
        stopped |= new
    _signal(stopped, SIGKILL)


def is_empty() -> bool:
    """Tell whether this process, which has no child, has nobody else to kill either; let the pids of its
    namespace start anew.

    Who came into the namespace by another way than by birth is killed, and goes with its init.
    """
    if os.getpid() != 1:
        return True
    try:
        os.kill(-1, SIGKILL)
    except ProcessLookupError:
        return linux.restart_pids()
    return False


def descendants(roots: Iterable[int]) -> list[int]:
    """Return processes and everybody below them."""
    found: dict[int, None] = {}
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found[pid] = None
            waiting.extend(children(pid))
    return list(found)


def children(pid: int) -> list[int]:
    """Return the children of a process, the dead among them; none for one that is gone."""
    if not _kernel_lists_children():
        return [child for child in _pids() if _parent(child) == pid]
    found: list[int] = []
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError), open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                found.extend(map(int, file.read().split()))
    return found


@cache
def _kernel_lists_children() -> bool:
    return os.path.exists("/proc/thread-self/children")


def _pids() -> Iterable[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def _parent(pid: int) -> int:
    with suppress(OSError), open(f"/proc/{pid}/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[1])
    return 0


def _signal(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
