"""Run a program to its end, within a limit, and leave nothing of it behind.

Promises: returns within the limit + `kill_grace` + REAP seconds whatever the program does; both
streams are drained all the time, so it never blocks on output; when it returns, no process of the
program's session lives (unless the kernel itself holds one), and no pipe of it is open.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from signal import SIGKILL, SIGTERM

from executions.runners.capture import Captured
from executions.runners.job import Control
from executions.runners.pipes import Pipes
from executions.runners.result import End
from executions.runners.tree import Tree

TICK = 0.1  # how soon a cancel is noticed
LINGER = 1.0  # for output that a helper of an ended program is still writing
REAP = 5.0  # after SIGKILL; longer only when the kernel itself is stuck
SHUTDOWN_GRACE = 1.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended; `exit_code` is 128 + n after signal n, as shells count."""

    exit_code: int
    end: End
    duration_ms: int
    stdout: Captured
    stderr: Captured


def run_process(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    stdin: bytes,
    limit: float,
    control: Control,
    kill_grace: float,
) -> Ended:
    """Run `argv` with nothing but `env` and `stdin`. Raises OSError if it can't be started.

    `env["HOME"]` must be the run's own: it is how processes that left the session are found.
    """
    started = time.monotonic()
    child = _start(argv, env, cwd, stdin)
    pipes, tree = Pipes(child, stdin), Tree(child.pid, env["HOME"])
    try:
        end = _attend(child, pipes, control, started + limit)
        if end == "exited":
            _pump_while(pipes, lambda: pipes.open and not control.cancelled.is_set(), LINGER)
        if end != "exited" or tree.group_exists() or pipes.open:
            _end_tree(child, tree, pipes, _grace(control, kill_grace))
    finally:
        exit_code = _reap(child, tree)
        stdout, stderr = pipes.close()
    return Ended(exit_code, end, round((time.monotonic() - started) * 1000), stdout, stderr)


def _start(argv: Sequence[str], env: Mapping[str, str], cwd: Path, stdin: bytes) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 (the point of this module; argv is a list, no shell reads it)
        [*_confined(), *argv],
        stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        env=dict(env),
        cwd=cwd,
        umask=0o077,
        start_new_session=True,
    )


@cache
def _confined() -> tuple[str, ...]:
    """Return the words that start a program without core dumps and without new privileges.

    A wrapper, since code between fork and exec (`preexec_fn`) can deadlock in a threaded worker.
    The parent-death signal ends the program with its worker; its lease has no renewer then.
    """
    limits = ("/bin/sh", "-c", 'ulimit -c 0; exec "$@"', "attune")
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return limits
    words = (setpriv, "--no-new-privs", "--pdeathsig", "KILL", "--")
    works = subprocess.run([*words, "/bin/true"], capture_output=True, check=False).returncode == 0  # noqa: S603
    return limits + words if works else limits


def _attend(child: subprocess.Popen[bytes], pipes: Pipes, control: Control, deadline: float) -> End:
    """Serve the pipes until the program ends or must end."""
    while child.poll() is None:
        left = deadline - time.monotonic()
        if control.cancelled.is_set():
            return "cancelled"
        if left <= 0:
            return "timeout"
        pipes.pump(min(TICK, left))
    return "exited"


def _grace(control: Control, kill_grace: float) -> float:
    """Return the seconds between SIGTERM and SIGKILL: none when another worker may own the run."""
    if control.reason == "lost":
        return 0.0
    return min(kill_grace, SHUTDOWN_GRACE) if control.reason == "shutdown" else kill_grace


def _end_tree(child: subprocess.Popen[bytes], tree: Tree, pipes: Pipes, grace: float) -> None:
    """SIGTERM everybody, serve the pipes for their last words, then SIGKILL who is left."""

    def alive() -> bool:
        return child.poll() is None or bool(tree.members())

    tree.signal(SIGTERM)
    _pump_while(pipes, alive, grace)
    until = time.monotonic() + REAP
    # Again and again: between looking and killing, a member may have started another.
    while alive() and time.monotonic() < until:
        tree.signal(SIGKILL)
        pipes.pump(TICK / 10)
    _pump_while(pipes, lambda: pipes.open, TICK)


def _pump_while(pipes: Pipes, wanted: Callable[[], bool], seconds: float) -> None:
    until = time.monotonic() + seconds
    while wanted() and time.monotonic() < until:
        pipes.pump(min(TICK, until - time.monotonic()))


def _reap(child: subprocess.Popen[bytes], tree: Tree) -> int:
    if child.poll() is None:
        tree.signal(SIGKILL)
    try:
        code = child.wait(REAP)
    except subprocess.TimeoutExpired:
        code = -SIGKILL
    return code if code >= 0 else 128 - code
