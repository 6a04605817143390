"""From the fork to the exec of an action: what its process is made of."""

from __future__ import annotations

import errno
import os
import resource
import signal
from contextlib import suppress
from typing import Any, NoReturn

from executions.guard import linux


def become(spec: dict[str, Any], streams: tuple[int, ...], guard: int, failed: int) -> NoReturn:
    """Turn this fork of the guard into the action; write what hinders it to `failed` and end."""
    try:
        _prepare(spec, streams, guard)
        _execute(spec["argv"], spec["env"])
    except BaseException as problem:
        with suppress(OSError):
            os.write(failed, _describe(problem, spec).encode(errors="surrogateescape"))
    os._exit(127)


def _prepare(spec: dict[str, Any], streams: tuple[int, ...], guard: int) -> None:
    os.setsid()
    for number, file in enumerate(streams):
        os.dup2(file, number)
    _be_killed_first()
    for name, soft, hard in spec["limits"]:
        _limit(getattr(resource, name), soft, hard)
    os.umask(0o077)
    if spec["user"] is not None:
        _become_user(spec["user"])
        _require(spec["needs"])
    linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != guard:  # it died before it could be watched
        os._exit(127)
    os.chdir(spec["cwd"])
    for signum in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if signal.getsignal(signum) not in (signal.SIG_DFL, None):
            signal.signal(signum, signal.SIG_DFL)


def _be_killed_first() -> None:
    """Let the kernel choose the action before the worker when memory runs out."""
    linux.prctl(linux.PR_SET_DUMPABLE, 1)  # else this file belongs to root; exec sets it anyway
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")


def _limit(kind: int, soft: int, hard: int) -> None:
    """Set a limit, no higher than what this process may have at most."""
    most = resource.getrlimit(kind)[1]
    if most != resource.RLIM_INFINITY:
        soft, hard = min(soft, most), min(hard, most)
    resource.setrlimit(kind, (soft, hard))


def _become_user(uid: int) -> None:
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


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
    return f"{user} may not read it: chmod o+r {path}"


def _execute(argv: list[str], env: dict[str, str]) -> NoReturn:
    """Execute a program; one without a slash is looked for on the PATH of `env`."""
    if "/" in argv[0]:
        os.execve(argv[0], argv, env)  # noqa: S606 (what this is for)
    problem: OSError = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), argv[0])
    for folder in env.get("PATH", os.defpath).split(os.pathsep):
        try:
            os.execve(os.path.join(folder, argv[0]), argv, env)  # noqa: S606 (see above)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as other:
            problem = other
    raise problem


def _describe(problem: BaseException, spec: dict[str, Any]) -> str:
    """Return errno, message and file of an error, for the worker to raise it again."""
    if not isinstance(problem, OSError) or not problem.errno:
        return f"0\0{type(problem).__name__}: {problem}\0"
    return f"{problem.errno}\0{problem.strerror}\0{problem.filename or spec['argv'][0]}"
