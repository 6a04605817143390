"""The worker's side: its zygote, and its hand on the guard of each run."""

from __future__ import annotations

import atexit
import errno
import math
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from executions.guard import wire
from executions.guard.guard import now

PATIENCE = 30.0  # s for a zygote to start a guard: more means that it hangs
TRIES = 3
ENDS = 2.0  # s for a zygote whose socket was closed
ROOT = Path(__file__).resolve().parents[2]
GONE = (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.EBADF)  # how a dead zygote's socket answers
_PROGRAM = (
    "import sys; sys.path.append(sys.argv[3]); from executions.guard.zygote import main; "
    "main(int(sys.argv[1]), sys.argv[2] == 'namespaces')"
)


@dataclass(frozen=True, slots=True)
class Exit:
    """How an action's first process ended: `code` is negative after a signal. `cpu` in s, `why` of WHYS."""

    code: int
    cpu: float
    why: str


class Guarded:
    """One run. `exit` is known when its first process has ended; `over` when nobody is left."""

    def __init__(self, control: socket.socket, zygote: subprocess.Popen[bytes]) -> None:
        self._control = control
        self._zygote = zygote
        self._namespaced = False
        self._lock = threading.Lock()  # a renewal may come while the run's own thread closes
        self._pidfd: int | None = None
        self.exit: Exit | None = None
        self.over = False

    def fileno(self) -> int:
        return self._control.fileno()

    def permit(self, until: float) -> None:
        """Let it run until then, by `time.monotonic()`. Safe from any thread, never blocks."""
        if until < math.inf:
            self._send(wire.number(wire.PERMIT, now() + until - time.monotonic()))

    @property
    def certain(self) -> bool:
        """Whether the end of a killed guard proves that nobody is left: somebody must have buried them."""
        return self._namespaced or self._zygote.poll() is None

    def stop(self, grace: float) -> None:
        """Ask everybody to end, and kill who is left after `grace` seconds."""
        self._signal_guard(signal.SIGCONT)
        self._send(wire.number(wire.STOP, grace))

    def kill(self) -> None:
        """End it without its guard's help: whoever is left is killed because the guard is gone."""
        self._send(wire.KILL)
        self._signal_guard(signal.SIGKILL)

    def hear(self, *, once: bool = False) -> None:
        """Take in what has come, without waiting. Raises OSError if the action could not be started."""
        while not self.over:
            try:
                message, handles = wire.receive(self._control, wait=False, files=1)
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionResetError:  # it ended with a permit unread; what it had said comes now
                continue
            except OSError:
                message, handles = b"", []
            self._take(message, handles)
            if once:
                return

    def close(self) -> None:
        """Let go; if it is not over, its guard kills everybody."""
        with self._lock:
            self._control.close()
            if self._pidfd is not None:
                os.close(self._pidfd)
                self._pidfd = None

    def begin(self) -> bool:
        """Wait for the guard; False: nothing was started, and nothing ever will be. Raises OSError."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        if not poll.poll(PATIENCE * 1000):
            raise TimeoutError(errno.ETIMEDOUT, f"No guard has started for {PATIENCE:g} s")
        self.hear(once=True)
        return not self.over

    def _take(self, message: bytes, handles: list[int]) -> None:
        match message[:1]:
            case wire.READY:
                self._pidfd = handles[0] if handles else None
                self._namespaced = message == wire.READY_AS_INIT
            case wire.FAILED:
                raise wire.failed_in(message)
            case wire.EXITED:
                self.exit = Exit(*wire.end_in(message))
            case _:
                self.over = True

    def _send(self, message: bytes) -> None:
        """Send without waiting: a guard that is too slow to listen is ended by other means."""
        with self._lock, suppress(OSError):
            self._control.send(message, socket.MSG_DONTWAIT)

    def _signal_guard(self, signum: int) -> None:
        with self._lock, suppress(OSError):
            if self._pidfd is not None:
                signal.pidfd_send_signal(self._pidfd, signum)

    def specify(self, spec: dict[str, Any]) -> None:
        """Send what to run. Waits as long as the guard takes to read it."""
        self._control.settimeout(PATIENCE)
        for piece in wire.specification(spec):
            self._control.send(piece)
        self._control.settimeout(None)  # with one, Python would wait in spite of MSG_DONTWAIT


class Zygote:
    """A process from which guards are forked; another one is started when it is gone."""

    def __init__(self, *, namespaces: bool) -> None:
        self._namespaces = namespaces
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def guard(self, spec: dict[str, Any], files: Sequence[int], until: float = math.inf) -> Guarded:
        """Start a guard that runs `spec` on stdin, stdout and stderr, and holds any further `files`.

        `until`: its first permit, by `time.monotonic()`. Raises OSError if that fails; then nothing of it
        is left.
        """
        spec |= {"until": None if until == math.inf else now() + until - time.monotonic()}
        for _try in range(TRIES):
            process, zygote = self._running()
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            guarded = Guarded(ours, process)
            try:
                with theirs:
                    wire.send_files(zygote, b"+", [theirs.fileno(), *files])
                guarded.specify(spec)
                if guarded.begin():
                    return guarded
            except OSError as problem:
                guarded.close()
                if isinstance(problem, TimeoutError):
                    self._replace(zygote)
                if problem.errno not in GONE:
                    raise
            # It has died; nothing that it had not taken can come to life.
            guarded.close()
            self._replace(zygote)
        raise OSError(errno.EIO, "The process that starts actions dies each time it is started")

    def close(self) -> None:
        """Let the zygote end: at once, or with the last run that it started."""
        with self._lock:
            self._end()

    def _running(self) -> tuple[subprocess.Popen[bytes], socket.socket]:
        with self._lock:
            if self._socket is None or self._process is None:
                self._process, self._socket = self._start()
            return self._process, self._socket

    def _replace(self, dead: socket.socket) -> None:
        """Have the next request start another one, unless somebody else has seen to it."""
        with self._lock:
            if self._socket is dead:
                self._end()

    def _start(self) -> tuple[subprocess.Popen[bytes], socket.socket]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            words = [str(theirs.fileno()), "namespaces" if self._namespaces else "", str(ROOT)]
            process = subprocess.Popen(  # noqa: S603 (our own program)
                [sys.executable, "-I", "-S", "-c", _PROGRAM, *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={},
                cwd="/",
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        ours.settimeout(PATIENCE)
        return process, ours

    def _end(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            try:
                self._process.wait(ENDS)
            except subprocess.TimeoutExpired:
                self._process.kill()  # its guards go on: they need it for nothing but their burial
                self._process.wait()
            self._process = None


@cache
def zygote(namespaces: bool) -> Zygote:
    """Return this process's zygote; it is started when it is first needed."""
    one = Zygote(namespaces=namespaces)
    atexit.register(one.close)
    return one
