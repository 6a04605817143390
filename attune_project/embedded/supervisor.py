"""Keep a set of programs running: start them in order, restart what dies, stop everything in time.

One thread. It sleeps in `select` on the children's output and on a pipe that signal handlers write to, and
looks at the children every tenth of a second. Children die with it (see `processes.spawn`), so a kill -9 of
the launcher leaves nothing behind for long; `on_change` lets the next start find even that.
"""

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from types import FrameType

from attune_project.embedded import processes
from attune_project.embedded.errors import LauncherError
from attune_project.embedded.logs import Terminal
from attune_project.embedded.processes import Identity
from attune_project.embedded.programs import Program

TICK = 0.1
LONGEST_BACKOFF = 30.0
CALM = 30.0  # seconds of life after which a program's earlier deaths are forgotten
DEATHS_AT_START = 3


class Interrupted(Exception):
    """Somebody asked everything to stop."""


class Supervised:
    """A program and its process, if it has one now."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.process: subprocess.Popen[bytes] | None = None
        self.identity = Identity(0, "")
        self.deaths = 0
        self.started_at = 0.0
        self.due_at = 0.0

    @property
    def running(self) -> bool:
        """Look without reaping: while a zombie holds the pid, the group that `sweep` kills is surely ours."""
        if self.process is None or self.process.returncode is not None:
            return False
        return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def start(self) -> None:
        program = self.program
        program.before_start()
        try:
            self.process = processes.spawn(
                program.argv,
                program.env,
                death_signal=program.stop_signal,
                account=program.account,
                cwd=program.cwd,
                stdout=subprocess.PIPE,
            )
        except OSError as error:
            raise LauncherError(f"can't start {program.name}: {error}") from None
        self.identity = Identity.of(self.process.pid)
        self.started_at = time.monotonic()

    def note_death(self) -> float:
        """Return the seconds to wait before the next start: 0.5, 1, 2 ... for deaths in a row."""
        if time.monotonic() - self.started_at > CALM:
            self.deaths = 0
        wait = min(0.5 * 2.0**self.deaths, LONGEST_BACKOFF)
        self.deaths += 1
        self.due_at = time.monotonic() + wait
        return wait

    def signal(self, sign: signal.Signals) -> None:
        if self.process is not None and self.running:
            self.process.send_signal(sign)

    def sweep(self) -> int:
        """Kill what is left of the program's group, its own children included; return its exit code."""
        if self.process is None:
            return 0
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        return self.process.wait()


class Supervisor:
    """Runs programs until a signal (or `stop`) ends them."""

    def __init__(self, terminal: Terminal, on_change: Callable[[list[Identity]], None]) -> None:
        self.terminal = terminal
        self.children: list[Supervised] = []
        self.on_change = on_change
        self.stopping = False
        self._selector = selectors.DefaultSelector()
        self._wake, self._waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector.register(self._wake, selectors.EVENT_READ)

    def catch_signals(self) -> None:
        for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(sign, self._asked_to_stop)

    def start(self, programs: Sequence[Program], timeout: float = 30.0) -> list[str]:
        """Start the programs together and wait until each is ready; return the names of the late ones.

        Raises LauncherError when one keeps ending before it was ready.
        """
        waiting = [self._launch(Supervised(program)) for program in programs]
        deadline = time.monotonic() + timeout
        while waiting and time.monotonic() < deadline:
            self.turn()
            for child in waiting:
                if child.deaths >= DEATHS_AT_START:
                    raise LauncherError(f"{child.program.name} can't start: see its lines above.")
            waiting = [child for child in waiting if not (child.running and child.program.ready())]
        return [child.program.name for child in waiting]

    def run(self, program: Program) -> int:
        """Run a program once, to its end, while the others are looked after; return its exit code."""
        child = Supervised(program)
        child.start()
        self._listen(child)
        try:
            while child.running:
                self.turn()
        finally:
            code = child.sweep()
            self._read_rest()
        return code

    def supervise(self) -> None:
        """Look after everything until somebody asks to stop (Interrupted)."""
        while True:
            self.turn()

    def turn(self) -> None:
        """Pass on what was said, and restart what has died and is due."""
        if self.stopping:
            raise Interrupted
        self._read(TICK)
        for child in self.children:
            if child.running:
                continue
            if child.process is not None:
                self._bury(child)
            elif time.monotonic() >= child.due_at:
                self._relaunch(child)

    def stop(self) -> None:
        """End everything, last started first; what doesn't end in its time is killed. Idempotent."""
        for order in sorted({child.program.order for child in self.children}, reverse=True):
            self._stop_together([child for child in self.children if child.program.order == order])
        self._read_rest()
        self.children.clear()

    def _stop_together(self, group: list[Supervised]) -> None:
        for child in group:
            child.signal(child.program.stop_signal)
        deadline = time.monotonic() + max(child.program.patience for child in group)
        while any(child.running for child in group) and time.monotonic() < deadline:
            self._read(TICK / 2)
        for child in group:
            if child.running:
                self.terminal.say(f"attune: {child.program.name} did not end in time and was killed")
            child.sweep()

    def _launch(self, child: Supervised) -> Supervised:
        child.start()
        if child not in self.children:
            self.children.append(child)
        self.on_change([each.identity for each in self.children if each.process])
        self._listen(child)
        return child

    def _relaunch(self, child: Supervised) -> None:
        """Start again; a machine that can't just now (no memory, no pid) is tried later."""
        try:
            self._launch(child)
        except LauncherError as error:
            self.terminal.say(f"attune: {error}; trying again in {child.note_death():g} s")

    def _bury(self, child: Supervised) -> None:
        code = child.sweep()
        child.process = None
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        wait = child.note_death()
        self.terminal.say(f"attune: {child.program.name} ended ({how}), starting it again in {wait:g} s")

    def _listen(self, child: Supervised) -> None:
        assert child.process is not None
        assert child.process.stdout is not None
        os.set_blocking(child.process.stdout.fileno(), False)
        self._selector.register(
            child.process.stdout, selectors.EVENT_READ, self.terminal.prefixer(child.program.name)
        )

    def _read(self, timeout: float) -> int:
        """Pass on the output that is there; return how many pipes had some."""
        ready = self._selector.select(timeout)
        for key, _ in ready:
            if key.fileobj == self._wake:
                os.read(self._wake, 64)
            elif output := os.read(key.fd, 64 * 1024):
                key.data.feed(output)
            else:
                key.data.finish()
                self._selector.unregister(key.fileobj)
                key.fileobj.close()  # type: ignore[union-attr]
        return len(ready)

    def _read_rest(self) -> None:
        """Pass on what ended processes said last. A grandchild that still writes isn't waited for."""
        deadline = time.monotonic() + 0.2
        while self._read(0.01) and time.monotonic() < deadline:
            pass

    def _asked_to_stop(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True
        with contextlib.suppress(BlockingIOError):  # full: it has been woken often enough
            os.write(self._waker, b"x")
