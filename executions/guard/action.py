"""Start the process of an action as a child of its guard.

What it is to be made of, the guard puts on itself first, spawns it and takes it off again: a spawn
copies nothing of the guard, which a fork would, page after page.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from executions.guard import linux

_CATCHABLE = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}


def start(spec: dict[str, Any], streams: Sequence[int]) -> int:
    """Execute `spec` with these for stdin, stdout and stderr; return its pid. Raises OSError."""
    os.umask(0o077)
    with _limited(spec["limits"]), _killed_first(), _as_user(spec["user"]):
        if spec["user"] is not None:
            _require(spec["needs"])
        os.chdir(spec["cwd"])
        pid = _spawn(spec["argv"], spec["env"], streams)
    os.chdir("/")
    return pid


def _spawn(argv: list[str], env: dict[str, str], streams: Sequence[int]) -> int:
    """Spawn a program; one without a slash is looked for on the PATH of `env`."""
    folders = [""] if "/" in argv[0] else env.get("PATH", os.defpath).split(os.pathsep)
    problem = OSError(errno.ENOENT, os.strerror(errno.ENOENT), argv[0])
    for folder in folders:
        path = os.path.join(folder, argv[0])
        try:
            return os.posix_spawn(
                path,
                argv,
                env,
                file_actions=[(os.POSIX_SPAWN_DUP2, file, number) for number, file in enumerate(streams)],
                setsid=True,
                setsigmask=(),
                setsigdef=_CATCHABLE,
            )
        except OSError as refusal:
            if refusal.errno not in (errno.ENOENT, errno.ENOTDIR):
                problem = OSError(refusal.errno, refusal.strerror, path)
    raise problem


@contextmanager
def _limited(limits: list[tuple[str, int, int]]) -> Iterator[None]:
    """Set limits, none above what this process may have at most; lift them again where that is allowed."""
    before = []
    for name, soft, hard in limits:
        kind = getattr(resource, name)
        had = resource.getrlimit(kind)
        before.append((kind, had))
        most = had[1] if had[1] != resource.RLIM_INFINITY else hard
        resource.setrlimit(kind, (min(soft, most), min(hard, most)))
    try:
        yield
    finally:
        for kind, had in before:
            with suppress(ValueError, OSError):
                resource.setrlimit(kind, had)


@contextmanager
def _killed_first() -> Iterator[None]:
    """Let the kernel choose the action before the worker when memory runs out."""
    closed = os.geteuid() != 0
    if closed:
        linux.prctl(linux.PR_SET_DUMPABLE, 1)  # else the file belongs to root
    own = _oom_score_adj(b"1000")
    try:
        yield
    finally:
        _oom_score_adj(own)
        if closed:
            linux.prctl(linux.PR_SET_DUMPABLE, 0)


def _oom_score_adj(value: bytes) -> bytes:
    """Set what this process's children inherit; return what it was."""
    with suppress(OSError):
        file = os.open("/proc/self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC)
        try:
            before = os.read(file, 16)
            os.write(file, value)
            return before
        finally:
            os.close(file)
    return value


@contextmanager
def _as_user(uid: int | None) -> Iterator[None]:
    """Be another user for a while. What is executed meanwhile is that user for good: exec forgets the
    saved id, which is the way back."""
    if uid is None:
        yield
        return
    groups = os.getgroups()
    os.setgroups([])
    os.setresgid(uid, uid, 0)
    os.setresuid(uid, uid, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)
        os.setgroups(groups)


def _require(paths: list[str]) -> None:
    """Raise PermissionError, in words that help, for the first of the paths that this user can't read."""
    for path in paths:
        if not os.access(path, os.R_OK):
            raise PermissionError(errno.EACCES, _what_to_open(path), path)


def _what_to_open(path: str) -> str:
    user = f"the run's user {os.getuid()}"
    folder = "/"
    for part in os.path.realpath(path).split("/")[1:-1]:
        folder = os.path.join(folder, part)
        if not os.access(folder, os.X_OK):
            return f"The folder {folder} is closed to {user}: chmod o+x {folder}"
    return f"{user[0].upper()}{user[1:]} may not read it: chmod o+r {path}"
