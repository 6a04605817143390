"""The guard of one run: starts the action, and sees to it that nobody outlives its permit."""

from __future__ import annotations

import math
import os
import resource
import select
import signal
import socket
import time
from contextlib import suppress
from typing import Any, NoReturn

from executions.guard import action, linux, tree, wire

LOOK = 1.0  # s between looks at the clock: a suspended host's timers don't count its sleep
LONGEST_NAP = 0.1


def now() -> float:
    """Return the seconds that leases are counted in: they pass while the host is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def guard(control: socket.socket, streams: tuple[int, ...]) -> NoReturn:
    """Be the guard of a run, in a fresh fork of the zygote, until nobody of it is left."""
    try:
        os.setsid()
        if os.getpid() != 1:  # the init of a namespace is that anyway
            linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)
        _say_hello(control)
        spec = _specification(control)
        if spec is not None:
            if os.getpid() == 1:
                linux.own_proc()
                linux.limit_pids(spec["pids"])
                if spec["user"] is not None:
                    linux.unshare(linux.CLONE_NEWIPC)  # shared memory would outlive the run, and its limits
            _Watch(control, spec, streams).keep()
    except OSError as problem:
        _say(control, wire.failed(problem))
    os._exit(0)


def _say_hello(control: socket.socket) -> None:
    """Hand the worker what it can kill this process by, whichever namespace either is in."""
    try:
        handle = [os.pidfd_open(os.getpid())]
    except (AttributeError, OSError):
        handle = []
    with suppress(OSError):
        wire.send_files(control, wire.READY_AS_INIT if os.getpid() == 1 else wire.READY, handle)
    for file in handle:
        os.close(file)


def _specification(control: socket.socket) -> dict[str, Any] | None:
    """Return what to run; None if the worker is gone."""
    whole = b""
    while True:
        message, _files = wire.receive(control)
        whole += message[1:]
        if message[:1] == wire.SPEC:
            spec: dict[str, Any] = wire.specification_in(whole)
            return spec
        if message[:1] != wire.MORE:
            return None


def _say(control: socket.socket, message: bytes) -> None:
    with suppress(OSError):
        control.send(message)


class _Watch:
    """One action under watch. Times are those of `now()`."""

    def __init__(self, control: socket.socket, spec: dict[str, Any], streams: tuple[int, ...]) -> None:
        self._control = control
        self._spec = spec
        self._streams = streams
        self._ends = now() + (math.inf if spec["limit"] is None else spec["limit"])
        self._until = math.inf if spec["until"] is None else spec["until"]
        self._strikes = math.inf  # when the grace of a stop ends
        self._why = "exited"
        self._leader = 0
        self._poll = select.poll()
        self._poll.register(control.fileno(), select.POLLIN)
        self._exited = False
        self._over = False

    def keep(self) -> None:
        """Start the action and return when nobody of it is left."""
        if not self._may_start():
            _say(self._control, wire.end(-signal.SIGKILL, 0.0, self._why))
            return
        self._wakes = _wake_at_every_death()
        try:
            self._leader = action.start(self._spec, self._streams)
        except OSError as problem:
            _say(self._control, wire.failed(problem))
            return
        for file in self._streams:
            os.close(file)
        self._poll.register(self._wakes, select.POLLIN)
        while not self._over:
            self._step()

    def _may_start(self) -> bool:
        """Tell whether the worker still wants it, and may: it has taken time to come here, however long."""
        while not self._over and self._poll.poll(0):
            self._listen()
        if self._until <= now():
            self._kill("lapsed")
        return not self._over

    def _step(self) -> None:
        moment = min(self._until, self._ends, self._strikes)
        patience = min(LOOK, max(0.0, moment - now())) if moment < math.inf else None
        for file, _events in self._poll.poll(None if patience is None else math.ceil(patience * 1000)):
            if file == self._control.fileno():
                self._listen()
            else:
                os.read(self._wakes, 4096)
        self._reap()
        self._mind_the_clock()

    def _listen(self) -> None:
        try:
            message, _files = wire.receive(self._control, wait=False)
        except BlockingIOError:
            return
        except OSError:
            message = b""
        match message[:1]:
            case wire.PERMIT:
                self._until = wire.number_in(message)
            case wire.STOP:
                self._stop(wire.number_in(message))
            case wire.KILL:
                self._kill("stopped")
            case _:
                self._kill("orphaned")

    def _mind_the_clock(self) -> None:
        moment = now()
        if self._until <= moment:
            self._kill("lapsed")
        elif self._strikes <= moment:
            self._kill(self._why)
        elif self._ends <= moment:
            self._why = "limit"
            self._ends = math.inf
            self._stop(self._spec["grace"])

    def _stop(self, grace: float) -> None:
        if self._why == "exited" and not self._exited:
            self._why = "stopped"
        if grace <= 0:
            self._kill(self._why)
            return
        self._strikes = min(self._strikes, now() + grace)
        tree.terminate({self._leader} if self._spec["spare_leader"] and not self._exited else ())

    def _kill(self, why: str) -> None:
        """Kill everybody, and come back when they are gone, however long the kernel may hold one."""
        if not self._exited:
            self._why = why
        nap = 0.0005
        while not self._over:
            tree.strike()
            self._reap()
            if not self._over:
                time.sleep(nap)
                nap = min(nap * 1.5, LONGEST_NAP)

    def _reap(self) -> None:
        """Bury the dead; tell of the leader's end, and know when nobody is left."""
        while not self._over:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self._over = True
                return
            if pid == 0:
                return
            if pid == self._leader and not self._exited:
                self._tell_the_end(os.waitstatus_to_exitcode(status))

    def _tell_the_end(self, code: int) -> None:
        self._exited = True
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        _say(self._control, wire.end(code, usage.ru_utime + usage.ru_stime, self._why))


def _wake_at_every_death() -> int:
    """Return the end of a pipe that becomes readable when a child ends."""
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    signal.set_wakeup_fd(writes, warn_on_full_buffer=False)
    return reads
