"""Run a program to its end, within a limit, and leave nothing of it behind.

Promises: returns within the limit + `kill_grace` + REAP seconds whatever the program does; both
streams are drained all the time, so it never blocks on output; when it returns, no process that the
program started lives (unless the kernel itself holds one), and no pipe of it is open. All that but the
drained streams holds, too, if this process is frozen or killed meanwhile: see executions.guard.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL, Signals

from executions.guard.client import Exit, Guarded, zygote
from executions.runners.capture import Captured
from executions.runners.confine import UNCONFINED, Confined
from executions.runners.job import Control
from executions.runners.pipes import Pipes
from executions.runners.result import End

TICK = 0.1  # how soon a cancel is noticed
LINGER = 1.0  # for output that a helper of an ended program is still writing
SLACK = 1.0  # for a guard to do what it was told, before it is ended itself
REAP = 5.0  # after SIGKILL; longer only when the kernel itself is stuck
SHUTDOWN_GRACE = 1.0

GUARD_KILLED = "The guard of this run was killed, and whatever still ran of it"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended; `exit_code` is 128 + n after signal n, as shells count.

    `error` says what ended it if that was neither the program nor its limit of time; `note` adds to what
    its output says.
    """

    exit_code: int
    end: End
    duration_ms: int
    stdout: Captured
    stderr: Captured
    error: str | None = None
    note: str | None = None


def run_process(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    stdin: bytes,
    limit: float,
    control: Control,
    kill_grace: float,
    confined: Confined = UNCONFINED,
) -> Ended:
    """Run `argv` with nothing but `env` and `stdin`. Raises OSError if it can't be started.

    It ends before `control.until` if that isn't extended, and then `control` is stopped as "lost".
    """
    started = time.monotonic()
    with Pipes(stdin, control.listener) as pipes:
        course = _Course(pipes, control, started + limit, kill_grace)
        guarded = course.start(argv, env, cwd, confined)
        try:
            end = course.attend()
        finally:
            course.finish()
        stdout, stderr = pipes.close()
    judged = _ended(guarded, end, control, confined)
    duration = round((time.monotonic() - started) * 1000)
    return Ended(_code(guarded.exit), judged.end, duration, stdout, stderr, judged.error, judged.note)


@dataclass(frozen=True, slots=True)
class _Judgement:
    end: End
    error: str | None = None
    note: str | None = None


class _Course:
    """One program from its start to its end."""

    def __init__(self, pipes: Pipes, control: Control, deadline: float, kill_grace: float) -> None:
        self._pipes = pipes
        self._control = control
        self._deadline = deadline
        self._kill_grace = kill_grace
        self._guarded: Guarded

    def start(self, argv: Sequence[str], env: Mapping[str, str], cwd: Path, confined: Confined) -> Guarded:
        spec = confined.specification(argv, env, cwd)
        # The guard's own limit is for a worker that is frozen when the time is up.
        spec |= {"limit": self._deadline - time.monotonic() + SLACK, "grace": self._kill_grace}
        files = [*self._pipes.theirs, *confined.held]
        until = self._control.until - confined.margin
        guarded = zygote(confined.pid_namespace).guard(spec, files, until)
        self._guarded = guarded
        self._pipes.serve(guarded)
        self._control.on_extend(lambda until: guarded.permit(until - confined.margin))
        guarded.permit(self._control.until - confined.margin)  # it may have been extended in the meantime
        return guarded

    def attend(self) -> End:
        """Serve the pipes until the program ends or must end; then see to it that nobody is left."""
        guarded, control = self._guarded, self._control
        while guarded.exit is None and not guarded.over:
            left = self._deadline - time.monotonic()
            if control.cancelled.is_set():
                self._stop()
                return "cancelled"
            if left <= 0:
                self._stop()
                return "timeout"
            self._pump(min(TICK, left))
        self._pump_while(lambda: self._pipes.open and not control.cancelled.is_set(), LINGER)
        if not guarded.over:
            self._stop()
        return "exited"

    def finish(self) -> None:
        """Let go of the guard; whoever is left, after an error here, ends with that."""
        self._control.on_extend(None)
        if not self._guarded.over:
            self._guarded.kill()
        self._guarded.close()

    def _stop(self) -> None:
        """End everybody: SIGTERM, time for last words, SIGKILL. The guard does it; if it can't, it goes."""
        grace = self._grace()
        self._guarded.stop(grace)
        self._pump_while(lambda: not self._guarded.over, grace + SLACK)
        if not self._guarded.over:
            self._guarded.kill()
            self._pump_while(lambda: not self._guarded.over, REAP)
        self._pump_while(lambda: self._pipes.open, TICK)

    def _grace(self) -> float:
        """Return the seconds between SIGTERM and SIGKILL: none when another worker may own the run."""
        if self._control.reason == "lost":
            return 0.0
        return (
            min(self._kill_grace, SHUTDOWN_GRACE) if self._control.reason == "shutdown" else self._kill_grace
        )

    def _pump(self, seconds: float) -> None:
        self._pipes.pump(seconds)
        if self._guarded.over:
            self._pipes.unheard()

    def _pump_while(self, wanted: Callable[[], bool], seconds: float) -> None:
        until = time.monotonic() + seconds
        while wanted() and time.monotonic() < until:
            self._pump(min(TICK, until - time.monotonic()))


def _ended(guarded: Guarded, end: End, control: Control, confined: Confined) -> _Judgement:
    """Judge how a program ended: by itself, by us, or by its guard while we could not."""
    over = guarded.exit
    if over is None:
        if end == "exited":
            return _Judgement(end if guarded.certain else _lost(control), GUARD_KILLED)
        return _Judgement(end)
    if over.why == "lapsed":
        return _Judgement(_lost(control))
    if over.why == "limit":
        return _Judgement("timeout")
    if over.code >= 0:
        # Bubblewrap ends as shells do: with 128 + n after signal n.
        wrapped = over.code - 128 if confined.wrap else 0
        return _Judgement(end, confined.limits.reason(wrapped, over.cpu))
    note = f"killed by signal {-over.code} ({_name(-over.code)})"
    return _Judgement(end, confined.limits.reason(-over.code, over.cpu), note)


def _lost(control: Control) -> End:
    """What ended this run, or may live on, is not for this worker to tell: its lease does."""
    control.stop("lost")
    return "cancelled"


def _code(exit_: Exit | None) -> int:
    code = -SIGKILL if exit_ is None else exit_.code
    return code if code >= 0 else 128 - code


def _name(signum: int) -> str:
    try:
        return Signals(signum).name
    except ValueError:
        return "a real-time signal"
