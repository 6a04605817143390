"""What a measurement costs: processor time, memory, write-ahead log. Read from /proc and from PostgreSQL."""

import os
import re
import statistics
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

PROC = Path("/proc")
TICK = os.sysconf("SC_CLK_TCK")
LISTEN = "0A"  # a state in /proc/net/tcp


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process and of those that it has waited for; 0 when it is gone."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(field) for field in fields[11:15]) / TICK


def rss_mib(pid: int) -> float:
    try:
        found = re.search(r"^VmRSS:\s+(\d+) kB", (PROC / str(pid) / "status").read_text(), re.MULTILINE)
    except OSError:
        return 0.0
    return int(found[1]) / 1024 if found else 0.0


def family(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            with suppress(OSError, IndexError, ValueError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for one in found:
        found.extend(children.get(one, []))
    return found


class CpuMeter:
    """Processor time by name; a name's processes include their descendants."""

    def __init__(self, roots: Mapping[str, int], others: Mapping[str, Iterable[int]]) -> None:
        self._roots = dict(roots)
        self._others = {name: list(pids) for name, pids in others.items()}
        self._before = self._now()

    def _now(self) -> dict[str, float]:
        of_roots: defaultdict[str, float] = defaultdict(float)
        for name, pid in self._roots.items():
            of_roots[name.partition(":")[0]] += sum(map(cpu_seconds, family(pid)))
        return {**of_roots, **{name: sum(map(cpu_seconds, pids)) for name, pids in self._others.items()}}

    def ms(self, per: int = 1) -> dict[str, float]:
        """Return the ms of processor time since the start, per unit of work, with their sum."""
        now = self._now()
        spent = {name: (now[name] - self._before.get(name, 0.0)) * 1000 / per for name in sorted(now)}
        return {name: round(ms, 4) for name, ms in [*spent.items(), ("sum", sum(spent.values()))]}


@contextmanager
def memory(roots: Mapping[str, int], every: float = 0.5) -> Iterator[dict[str, dict[str, float]]]:
    """Sample the memory of processes all the while; the yielded dict is filled at the end.

    By name, in MiB: the most, and by how much the median of the last quarter is above that of the first.
    """
    samples: dict[str, list[float]] = {name: [] for name in roots}
    found: dict[str, dict[str, float]] = {}
    over = threading.Event()

    def watch() -> None:
        while not over.wait(every):
            for name, pid in roots.items():
                samples[name].append(rss_mib(pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield found
    finally:
        over.set()
        watcher.join()
        found.update({name: _summary(values) for name, values in samples.items() if values})


def _summary(values: list[float]) -> dict[str, float]:
    quarter = max(1, len(values) // 4)
    growth = statistics.median(values[-quarter:]) - statistics.median(values[:quarter])
    return {"max_mib": round(max(values), 1), "growth_mib": round(growth, 1)}


def broker_pids(url: str) -> list[int]:
    """Return the broker's processes when it runs on this machine and may be looked at."""
    address = urlsplit(url)
    if address.scheme.startswith("redis") and address.path:
        return [pid for pid in _pids() if address.path in _command_line(pid)]
    if address.hostname not in ("127.0.0.1", "localhost", "::1"):
        return []
    return _listening(address.port or (5672 if address.scheme.startswith("amqp") else 6379))


def _listening(port: int) -> list[int]:
    sockets = set()
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (PROC / "net" / table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    sockets.add(f"socket:[{fields[9]}]")
    return [pid for pid in _pids() if sockets & _open_files(pid)]


def _pids() -> list[int]:
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]


def _open_files(pid: int) -> set[str]:
    found = set()
    with suppress(OSError):
        for entry in (PROC / str(pid) / "fd").iterdir():
            with suppress(OSError):
                found.add(os.readlink(entry))
    return found


def _command_line(pid: int) -> list[str]:
    try:
        return (PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def is_local_postgres(pid: int) -> bool:
    """Return whether a backend's pid is that of a process here, and not of another machine."""
    try:
        return (PROC / str(pid) / "comm").read_text().strip() == "postgres"
    except OSError:
        return False
