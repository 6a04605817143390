"""The processes that an action started: find them, signal them.

They are its process group, its session, and, for those that left both (`setsid`, daemons), whoever
still carries the run's own HOME in its environment. Only Linux tells the last two (`/proc`);
elsewhere the group is all that is found.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


class Tree:
    """All processes of one run, whose leader was started in a session of its own."""

    def __init__(self, leader: int, home: str) -> None:
        self._leader = leader
        self._mark = f"HOME={home}".encode()

    def members(self) -> list[int]:
        """Return the living processes; zombies hold nothing and do not count."""
        return [pid for pid in _pids() if self._owns(pid)]

    def group_exists(self) -> bool:
        """Tell, cheaply, whether the leader left others in its group. Ask once it was waited for."""
        try:
            os.killpg(self._leader, 0)
        except ProcessLookupError:
            return False
        except PermissionError:  # someone in it changed user
            return True
        return True

    def signal(self, number: signal.Signals) -> None:
        """Signal everybody once. Stopped processes are woken, or they would never act on it."""
        members = self.members()
        for pid in members:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
                os.kill(pid, signal.SIGCONT)
        if not members:  # no /proc to look into
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._leader, number)

    def _owns(self, pid: int) -> bool:
        with suppress(OSError, ValueError, IndexError):
            state, _parent, group, session = _stat(pid)
            if state in ("Z", "X"):
                return False
            return self._leader in (int(group), int(session)) or self._marked(pid)
        return False

    def _marked(self, pid: int) -> bool:
        return self._mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")


def _stat(pid: int) -> list[str]:
    """Return state, parent, group and session; the name before them may hold spaces and brackets."""
    return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[:4]


def _pids() -> Iterator[int]:
    with suppress(OSError):
        for name in os.listdir("/proc"):
            if name.isdecimal() and int(name) != os.getpid():
                yield int(name)
