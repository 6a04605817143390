"""What a run can change of its guard, as the guard's own user or as root: the next run must not find it."""

from __future__ import annotations

import os
import resource
import select
from contextlib import suppress

_LIMITS = sorted({value for name, value in vars(resource).items() if name.startswith("RLIMIT_")})


class Condition:
    """The condition that a guard is in: its priority, processors, cgroups, limits and mounts."""

    def __init__(self) -> None:
        self._spends = resource.getrlimit(resource.RLIMIT_CPU)
        self._was: tuple[object, ...] | None = None
        self._cgroups: int | None = None
        self._mounts: select.poll | None = None
        with suppress(OSError):
            self._cgroups = os.open("/proc/self/cgroup", os.O_RDONLY | os.O_CLOEXEC)
        if os.getpid() == 1:  # elsewhere they are the host's, whoever changes them
            self._mounts = select.poll()
            self._mounts.register(os.open("/proc/self/mounts", os.O_RDONLY | os.O_CLOEXEC), select.POLLPRI)

    def begin(self) -> None:
        """Take this for what each run begins with. Call it when the first has been started: limits that a
        guard may not lift again stay with it, and hold for all runs alike."""
        if self._was is None:
            self._was = self._now()

    def holds(self) -> bool:
        """Tell whether the next run would find what this one did.

        A guard that has set itself a limit of processor time, and may not lift it, would spend it.
        """
        if self._mounts is not None and self._mounts.poll(0):
            return False
        return self._was == self._now() and self._spends == resource.getrlimit(resource.RLIMIT_CPU)

    def _now(self) -> tuple[object, ...]:
        return (
            os.getpriority(os.PRIO_PROCESS, 0),
            os.sched_getscheduler(0),
            os.sched_getaffinity(0),
            None if self._cgroups is None else os.pread(self._cgroups, 4096, 0),
            *map(resource.getrlimit, _LIMITS),
        )
