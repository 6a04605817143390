"""What a process of an action may use: `setrlimit`'s limits, from the host's settings and the action."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from signal import SIGKILL, SIGXCPU, SIGXFSZ
from typing import Any

MB = 1024 * 1024
CPU_GRACE = 2  # s from SIGXCPU to SIGKILL
MOST = 2**31 - 1

Rlimit = tuple[str, int, int]  # the name in `resource`, soft, hard


@dataclass(frozen=True, slots=True)
class Limits:
    """Each holds for every single process of a run, but `processes` for all together; 0: no limit.

    Memory is what a process may write to (RLIMIT_DATA): Node and others reserve address space by the
    gigabyte that they never touch. Processes (threads count) need a user or a PID namespace of the run's
    own, or the worker itself would be counted.
    """

    memory_mb: int = 0
    cpu_seconds: int = 0
    files: int = 1024
    processes: int = 0
    file_size_mb: int = 0

    def within(self, asked: Mapping[str, Any]) -> Limits:
        """Return these limits as an action asks for them: lower ones hold, no higher ones."""
        own = {name: value for name, value in asked.items() if name in NAMES and not _problem(value)}
        return replace(
            self, **{name: min(value, getattr(self, name) or value) for name, value in own.items()}
        )

    def rlimits(self, *, own_user: bool) -> list[Rlimit]:
        """Return what to set before the exec. There are no core dumps: they would hold secrets."""
        wanted = [
            ("RLIMIT_DATA", self.memory_mb * MB, 0),
            ("RLIMIT_CPU", self.cpu_seconds, CPU_GRACE),
            ("RLIMIT_NOFILE", self.files, 0),
            ("RLIMIT_NPROC", self.processes if own_user else 0, 0),
            ("RLIMIT_FSIZE", self.file_size_mb * MB, 0),
        ]
        return [("RLIMIT_CORE", 0, 0), *((name, most, most + more) for name, most, more in wanted if most)]

    def reason(self, signum: int, cpu: float) -> str | None:
        """Return which limit ended a process, if its signal tells; `cpu` are the seconds that it used."""
        if signum == SIGXFSZ and self.file_size_mb:
            return f"Went over its limit of {self.file_size_mb} MB per file (SIGXFSZ)"
        # The kernel's count for SIGXCPU is not quite this one.
        spent = signum == SIGXCPU or (signum == SIGKILL and cpu >= self.cpu_seconds)
        if self.cpu_seconds and spent:
            return f"Went over its CPU limit of {self.cpu_seconds} s (SIGXCPU)"
        return None


NAMES = tuple(field.name for field in fields(Limits))


def problems(value: Any) -> dict[str, list[str]]:
    """Return what is wrong with an action's `limits`, by name of the limit; {} if nothing is.

    What is wrong with the map as a whole is under the name "".
    """
    if not isinstance(value, Mapping):
        return {"": ["Expected a map of limits."]}
    unknown = {
        str(name): [f"Unknown limit. Known are {', '.join(NAMES)}."] for name in value if name not in NAMES
    }
    wrong = {name: _problem(value[name]) for name in NAMES if name in value}
    return unknown | {name: [problem] for name, problem in wrong.items() if problem}


def _problem(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST:
        return f"Expected a whole number from 1 to {MOST}."
    return None
