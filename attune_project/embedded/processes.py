"""Processes of this machine: who they are, so that only our own are ever signalled, and how they start."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PR_SET_PDEATHSIG = 1
# Loaded before any fork: the child of a fork may do little between fork and exec.
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Identity:
    """A process for certain: pids are used again, a pid with its start time isn't."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> "Identity":
        return cls(pid, start_time(pid))

    def alive(self) -> bool:
        return bool(self.started) and start_time(self.pid) == self.started


def start_time(pid: int) -> str:
    """Return when a process started, in the kernel's own unit; empty if there is none or it is a zombie."""
    try:
        if sys.platform == "linux":
            # The name in brackets may hold spaces and brackets: the fields begin after the last one.
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            return "" if fields[0] == "Z" else fields[19]
        listing = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, check=False)
        return listing.stdout.decode().strip()
    except OSError:
        return ""


def command_line(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def owner(pid: int) -> int | None:
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return None


def end(process: Identity, sign: signal.Signals, patience: float) -> None:
    """Signal a process that is proven ours, and kill it when it has not ended within `patience` seconds."""
    for each, seconds in ((sign, patience), (signal.SIGKILL, 5.0)):
        if not process.alive():
            return
        os.kill(process.pid, each)
        wait_until(lambda: not process.alive(), seconds)


def wait_until(condition: Callable[[], bool], seconds: float, pause: float = 0.05) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True


@dataclass(frozen=True)
class Account:
    """The user that a server runs as."""

    uid: int
    gid: int

    @property
    def is_ours(self) -> bool:
        return self.uid == os.geteuid()


def spawn(
    argv: Sequence[str],
    env: Mapping[str, str],
    *,
    death_signal: signal.Signals = signal.SIGTERM,
    account: Account | None = None,
    cwd: str | None = None,
    stdout: int | None = None,
) -> subprocess.Popen[bytes]:
    """Start a child in a session of its own, which gets `death_signal` when this process dies.

    Its own session, because a Ctrl-C in the terminal reaches the whole foreground group and would stop
    everything at once instead of in order. Call from the main thread: the kernel sends the death signal
    when the *thread* that forked ends.
    """
    other = account if account and not account.is_ours else None
    return subprocess.Popen(
        list(argv),
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.STDOUT if stdout is not None else None,
        start_new_session=True,
        user=other.uid if other else None,
        group=other.gid if other else None,
        extra_groups=[] if other else None,
        # After the change of user, which would clear the death signal.
        preexec_fn=_die_with(os.getpid(), death_signal),  # noqa: PLW1509 (one thread only)
    )


def _die_with(parent: int, sign: signal.Signals) -> Callable[[], None]:
    def prepare() -> None:
        if _LIBC is not None:
            _LIBC.prctl(PR_SET_PDEATHSIG, int(sign), 0, 0, 0)
            if os.getppid() != parent:  # it died before the line above
                os._exit(1)

    return prepare
