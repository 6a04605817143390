"""How many process slots a worker has, between its bounds."""

import os
import time
from dataclasses import dataclass

CALM_SECONDS = 30.0  # so long without every slot taken, and one is given up
OVERLOAD = 1.5  # runnable threads per core, by the load average of a minute: no further slot then


@dataclass(frozen=True)
class Bounds:
    """The fewest and the most process slots."""

    least: int
    most: int

    @property
    def fixed(self) -> bool:
        return self.least == self.most


class Scaling:
    """One slot more while work waits and the host isn't overloaded; one less after a calm time."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self._full_at = time.monotonic()

    def wanted(self, size: int, busy: int, waiting: bool, load: float, now: float) -> int:
        """Return how many slots there should be, given how many there are and how many are taken.

        `load` is per core; `now` is of time.monotonic().
        """
        if busy >= size:
            self._full_at = now
            grows = waiting and load < OVERLOAD
            return min(self.bounds.most, size + 1) if grows else size
        if now - self._full_at < CALM_SECONDS:
            return size
        self._full_at = now
        return max(self.bounds.least, size - 1)


def load_per_core() -> float:
    """Return the load average of the last minute for each core that this process may use."""
    return os.getloadavg()[0] / max(1, len(os.sched_getaffinity(0)))


def resident_mb() -> float:
    """Return this process's resident memory in MiB."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        pages = int(statm.read().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
