"""The worker's side: its zygote, and its hand on the guard of each run."""

from __future__ import annotations

import atexit
import errno
import math
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from attune_project.faults import fault
from executions.guard import wire
from executions.guard.guard import now

PATIENCE = 30.0  # s for a zygote to start a guard: more means that it hangs
TRIES = 3
ENDS = 2.0  # s for a zygote whose socket was closed
RESTING = 64  # guards at most that wait for another run
ROOT = Path(__file__).resolve().parents[2]
GONE = (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.EBADF)  # how a dead process's socket answers
_TIMEOUT = struct.pack("@ll", int(PATIENCE), 0)
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


class Line:
    """The line to a guard, which serves runs of one `kind`, one after the other."""

    def __init__(
        self, control: socket.socket, zygote: subprocess.Popen[bytes], kind: Hashable = None
    ) -> None:
        # With a timeout of Python's own, it would wait in spite of MSG_DONTWAIT.
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            control.setsockopt(socket.SOL_SOCKET, option, _TIMEOUT)
        self.control = control
        self.zygote = zygote
        self.kind = kind
        self.pidfd: int | None = None
        self.namespaced = False

    def close(self) -> None:
        """Hang up: the guard ends, and with it whoever is left of its run."""
        self.control.close()
        if self.pidfd is not None:
            os.close(self.pidfd)
            self.pidfd = None

    def receive(self, *, wait: bool) -> tuple[bytes, list[int]]:
        """Return what the guard has said, with a handle; b"" at its end."""
        while True:
            try:
                return wire.receive(self.control, wait=wait, files=1)
            except ConnectionResetError:  # it ended with a permit unread; what it had said comes now
                continue

    def signal(self, signum: int) -> None:
        if self.pidfd is not None:
            with suppress(OSError):
                signal.pidfd_send_signal(self.pidfd, signum)


class Guarded:
    """One run. `exit` is known when its first process has ended; `over` when nobody is left.

    `rest` is given the line when the run is closed, if its guard is ready for another one.
    """

    def __init__(self, line: Line, rest: Callable[[Line], object]) -> None:
        self._line = line
        self._rest = rest
        self._lock = threading.Lock()  # a renewal may come while the run's own thread closes
        self._closed = False
        self._ready = False  # its guard, for another run
        self.exit: Exit | None = None
        self.over = False

    def fileno(self) -> int:
        return self._line.control.fileno()

    def permit(self, until: float) -> None:
        """Let it run until then, by `time.monotonic()`. Safe from any thread, never blocks."""
        if until < math.inf:
            self._send(wire.number(wire.PERMIT, now() + until - time.monotonic()))

    @property
    def certain(self) -> bool:
        """Whether the end of a killed guard proves that nobody is left: somebody must have buried them."""
        return self._line.namespaced or self._line.zygote.poll() is None

    def stop(self, grace: float) -> None:
        """Ask everybody to end, and kill who is left after `grace` seconds."""
        self._signal_guard(signal.SIGCONT)
        self._send(wire.number(wire.STOP, grace))

    def kill(self) -> None:
        """End it without its guard's help: whoever is left is killed because the guard is gone."""
        self._send(wire.KILL)
        self._signal_guard(signal.SIGKILL)

    def hear(self) -> None:
        """Take in what has come, without waiting. Raises OSError if the action could not be started."""
        while not self.over:
            try:
                message, handles = self._line.receive(wait=False)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                message, handles = b"", []
            self._take(message, handles)

    def close(self) -> None:
        """Let go; if it is not over, its guard kills everybody. A second time changes nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        if self._ready:
            self._rest(self._line)
        else:
            self._line.close()

    def begin(self, spec: dict[str, Any], files: Sequence[int]) -> bool:
        """Have the guard run `spec`; False: nothing was started, and nothing ever will be. Raises OSError."""
        self._line.signal(signal.SIGCONT)
        try:
            self._specify(spec, files)
            answer = self._line.receive(wait=True)
        except BlockingIOError:
            self._line.signal(signal.SIGKILL)
            raise TimeoutError(errno.ETIMEDOUT, f"No guard has started for {PATIENCE:g} s") from None
        except OSError as problem:
            if problem.errno not in GONE:
                raise
            return False
        self._take(*answer)
        return not self.over

    def _specify(self, spec: dict[str, Any], files: Sequence[int]) -> None:
        for piece in wire.specification(spec):
            wire.send_files(self._line.control, piece, files)
            files = ()

    def _take(self, message: bytes, handles: list[int]) -> None:
        match message[:1]:
            case wire.READY:
                self._line.namespaced = message == wire.READY_AS_INIT
                if handles:
                    self._line.pidfd = handles[0]
            case wire.FAILED:
                raise wire.failed_in(message)
            case wire.EXITED:
                code, cpu, why, over = wire.end_in(message)
                self.exit = Exit(code, cpu, why)
                self.over = self._ready = over
            case wire.OVER:
                self.over = self._ready = True
            case _:
                self.over = True

    def _send(self, message: bytes) -> None:
        """Send without waiting: a guard that is too slow to listen is ended by other means."""
        with self._lock, suppress(OSError):
            if not self._closed:
                self._line.control.send(message, socket.MSG_DONTWAIT)

    def _signal_guard(self, signum: int) -> None:
        with self._lock:
            if not self._closed:
                self._line.signal(signum)


class Zygote:
    """A process from which guards are forked; another one is started when it is gone.

    A guard that is ready for another run rests until there is one of its kind, or until it has had enough.
    """

    def __init__(self, *, namespaces: bool) -> None:
        self._namespaces = namespaces
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._resting: list[Line] = []  # the one that has rested longest first

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def guard(self, spec: dict[str, Any], files: Sequence[int], until: float = math.inf) -> Guarded:
        """Start a guard that runs `spec` on stdin, stdout and stderr, and holds any further `files`.

        `until`: its first permit, by `time.monotonic()`. Raises OSError if that fails; then nothing of it
        is left.
        """
        spec |= {"until": None if until == math.inf else now() + until - time.monotonic()}
        kind = _kind(spec)
        while (line := self._rested(kind)) is not None:
            if guarded := self._begun(line, spec, files):
                return guarded
        for _try in range(TRIES):
            process, zygote = self._running()
            try:
                if guarded := self._begun(_fork(process, zygote, kind), spec, files):
                    return guarded
            except TimeoutError:
                self._replace(zygote)
                raise
            # It has died; nothing that it had not taken can come to life.
            self._replace(zygote)
        raise OSError(errno.EIO, "The process that starts actions dies each time it is started")

    def _begun(self, line: Line, spec: dict[str, Any], files: Sequence[int]) -> Guarded | None:
        guarded = Guarded(line, self._rest)
        begun = False
        try:
            fault("guard.before_start")
            begun = guarded.begin(spec, files)
            fault("guard.after_start")
        finally:
            if not begun:
                guarded.close()
        return guarded if begun else None

    def _rested(self, kind: Hashable) -> Line | None:
        """Return the line to a guard of that kind, the last that came to rest."""
        with self._lock:
            if self._process is not None and self._process.poll() is not None:
                self._end()  # its guards have nobody who would bury their heirs
            for place in reversed(range(len(self._resting))):
                if self._resting[place].kind == kind:
                    return self._resting.pop(place)
        return None

    def _rest(self, line: Line) -> None:
        with self._lock:
            if line.zygote is self._process:
                self._resting.append(line)
                line = self._resting[0]
                if len(self._resting) <= RESTING:
                    return
                del self._resting[0]
        line.close()

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
        while self._resting:
            self._resting.pop().close()
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


def _kind(spec: dict[str, Any]) -> Hashable:
    """Return what runs of one guard must have in common: what it sets once, or may not be able to undo."""
    return tuple(spec["limits"]), spec["pids"], spec["user"] is None


def _fork(process: subprocess.Popen[bytes], zygote: socket.socket, kind: Hashable) -> Line:
    """Ask a zygote for a guard. Of a dead one the line tells: nobody is at its other end. Raises OSError."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    line = Line(ours, process, kind)
    with theirs:
        try:
            wire.send_files(zygote, b"+", [theirs.fileno()])
        except OSError as problem:
            if problem.errno not in GONE:
                line.close()
                raise
    return line


@cache
def zygote(namespaces: bool) -> Zygote:
    """Return this process's zygote; it is started when it is first needed."""
    one = Zygote(namespaces=namespaces)
    atexit.register(one.close)
    return one
