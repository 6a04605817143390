"""The guard of runs, one after the other: starts each, and sees to it that nobody outlives its permit."""

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
from executions.guard.condition import Condition

LOOK = 1.0  # s between looks at the clock: a suspended host's timers don't count its sleep
LONGEST_NAP = 0.1
REST = 30.0  # s that a guard waits for another run
RUNS = 500  # of one guard: it collects no garbage
FILES = 16  # descriptors of a request at most: stdin, stdout, stderr, and those only to be held


def now() -> float:
    """Return the seconds that leases are counted in: they pass while the host is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def guard(control: socket.socket) -> NoReturn:
    """Be a guard, in a fresh fork of the zygote, until nobody needs it or it is fit for no further run."""
    try:
        os.setsid()
        if os.getpid() != 1:  # the init of a namespace is that anyway
            linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)
        _serve(control)
    except OSError as problem:
        _say(control, wire.failed(problem))
    os._exit(0)


def _serve(control: socket.socket) -> None:
    """Run what the worker sends. Each run finds the guard as the first one did, or another guard."""
    wakes = _wake_at_every_death()
    condition: Condition | None = None
    for _run in range(RUNS):
        request = _request(control)
        if request is None:
            return
        spec, files = request
        _say_hello(control, first=condition is None)
        if condition is None:
            condition = _settle(spec)
        if os.getpid() == 1 and spec["user"] is not None:
            linux.unshare(linux.CLONE_NEWIPC)  # shared memory would outlive the run, and its limits
        if not _Watch(control, wakes, spec, files, condition).keep():
            return


def _settle(spec: dict[str, Any]) -> Condition:
    if os.getpid() == 1:
        linux.own_proc()
        linux.limit_pids(spec["pids"])
    return Condition()


def _request(control: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Return what to run, and the files for it; None if the worker is gone or wants nothing for long.

    A permit that came late for the run before is nobody's.
    """
    poll = select.poll()
    poll.register(control, select.POLLIN)
    if not poll.poll(REST * 1000):
        return None
    whole, files = b"", []
    while True:
        message, more = wire.receive(control, files=FILES)
        files += more
        match message[:1]:
            case wire.SPEC:
                return wire.specification_in(whole + message[1:]), files
            case wire.MORE:
                whole += message[1:]
            case wire.PERMIT:
                pass
            case _:
                return None


def _say_hello(control: socket.socket, *, first: bool) -> None:
    """Take a request on: from here on it may come to life. The first time, hand the worker what it can kill
    this process by, whichever namespace either is in."""
    handle = []
    if first:
        with suppress(AttributeError, OSError):
            handle = [os.pidfd_open(os.getpid())]
    with suppress(OSError):
        wire.send_files(control, wire.READY_AS_INIT if os.getpid() == 1 else wire.READY, handle)
    for file in handle:
        os.close(file)


def _say(control: socket.socket, message: bytes) -> None:
    with suppress(OSError):
        control.send(message)


class _Watch:
    """One action under watch. Times are those of `now()`; `files` are its streams, and what is only held."""

    def __init__(
        self, control: socket.socket, wakes: int, spec: dict[str, Any], files: list[int], condition: Condition
    ) -> None:
        self._control = control
        self._wakes = wakes
        self._spec = spec
        self._files = files
        self._condition = condition
        self._ends = now() + (math.inf if spec["limit"] is None else spec["limit"])
        self._until = math.inf if spec["until"] is None else spec["until"]
        self._strikes = math.inf  # when the grace of a stop ends
        self._why = "exited"
        self._by_itself = True
        self._leader = 0
        self._before = _cpu_of_children()
        self._poll = select.poll()
        self._poll.register(control.fileno(), select.POLLIN)
        self._poll.register(wakes, select.POLLIN)
        self._exit: tuple[int, float] | None = None  # of the leader: its code, and the CPU time so far
        self._told = False
        self._over = False

    def keep(self) -> bool:
        """Start the action and return when nobody of it is left; tell whether the guard may run another."""
        if not self._may_start():
            _say(self._control, wire.end(-signal.SIGKILL, 0.0, self._why))
            return False
        try:
            self._leader = action.start(self._spec, self._files[:3])
        except OSError as problem:
            _say(self._control, wire.failed(problem))
            return False
        self._condition.begin()
        self._close(self._files[:3])
        while not self._over:
            self._step()
        return self._may_go_on()

    def _may_start(self) -> bool:
        """Tell whether the worker still wants it, and may: it has taken time to come here, however long."""
        while not self._over and self._poll.poll(0):
            self._hear()
        if self._until <= now():
            self._kill("lapsed")
        return not self._over

    def _may_go_on(self) -> bool:
        """Tell the worker that nobody is left, if this guard may go on; otherwise its own end will tell."""
        again = self._by_itself and tree.is_empty() and self._condition.holds()
        if again:
            self._close(self._files[3:])
        self._tell_the_end(again)
        return again

    def _close(self, files: list[int]) -> None:
        for file in files:
            os.close(file)

    def _step(self) -> None:
        moment = min(self._until, self._ends, self._strikes)
        patience = min(LOOK, max(0.0, moment - now())) if moment < math.inf else None
        self._hear(None if patience is None else math.ceil(patience * 1000))
        self._reap()
        self._mind_the_clock()

    def _hear(self, patience: int | None = 0) -> None:
        for file, _events in self._poll.poll(patience):
            if file == self._wakes:
                os.read(file, 4096)
            else:
                self._listen()

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
        if self._over:
            return
        if self._until <= moment:
            self._kill("lapsed")
        elif self._strikes <= moment:
            self._kill(self._why)
        elif self._ends <= moment:
            self._why = "limit"
            self._ends = math.inf
            self._stop(self._spec["grace"])

    def _stop(self, grace: float) -> None:
        self._by_itself = False
        if self._why == "exited" and self._exit is None:
            self._why = "stopped"
        if grace <= 0:
            self._kill(self._why)
            return
        self._strikes = min(self._strikes, now() + grace)
        tree.terminate({self._leader} if self._spec["spare_leader"] and self._exit is None else ())

    def _kill(self, why: str) -> None:
        """Kill everybody, and come back when they are gone, however long the kernel may hold one."""
        self._by_itself = False
        if self._exit is None:
            self._why = why
        nap = 0.0005
        while not self._over:
            tree.strike()
            self._reap()
            if not self._over:
                time.sleep(nap)
                nap = min(nap * 1.5, LONGEST_NAP)

    def _reap(self) -> None:
        """Bury the dead; note the leader's end, and know when nobody is left."""
        while not self._over:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self._over = True
                return
            if pid == 0:
                self._tell_the_end(over=False)
                return
            if pid == self._leader and self._exit is None:
                self._exit = os.waitstatus_to_exitcode(status), _cpu_of_children() - self._before

    def _tell_the_end(self, over: bool) -> None:
        """Say, once each, how the leader ended and that nobody is left."""
        if not self._told and self._exit is not None:
            self._told = True
            _say(self._control, wire.end(*self._exit, self._why, over=over))
        elif over:
            _say(self._control, wire.OVER)


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _wake_at_every_death() -> int:
    """Return the end of a pipe that becomes readable when a child ends."""
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    signal.set_wakeup_fd(writes, warn_on_full_buffer=False)
    return reads
