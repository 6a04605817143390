"""The system calls that Python 3.11 lacks. Each raises OSError."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from typing import Any

CLONE_NEWNS = 0x00020000
CLONE_NEWIPC = 0x08000000
CLONE_NEWPID = 0x20000000

MS_NOSUID, MS_NODEV, MS_NOEXEC = 2, 4, 8
MS_REC, MS_PRIVATE = 1 << 14, 1 << 18

PR_SET_DUMPABLE = 4
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38

FEWEST_PIDS = 301
_RELEASE = tuple(
    int(number) for number in os.uname().release.split("-")[0].split(".")[:2] if number.isdecimal()
)

_libc: Any = ctypes.CDLL(None, use_errno=True)


def prctl(option: int, value: int) -> None:
    _check(_libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0), "prctl")


def unshare(flags: int) -> None:
    _check(_libc.unshare(flags), "unshare")


def setns(file: int, kind: int) -> None:
    _check(_libc.setns(file, kind), "setns")


def mount(source: str | None, target: str, kind: str | None, flags: int) -> None:
    words = [None if word is None else os.fsencode(word) for word in (source, target, kind)]
    _check(_libc.mount(*words, ctypes.c_ulong(flags), None), f"mount {target}")


def own_proc() -> None:
    """Give this process a /proc of its own PID namespace, and leave every other mount as it is.

    Only /proc becomes private: what an action mounts elsewhere is seen by the host, as it would be
    without the namespace.
    """
    unshare(CLONE_NEWNS)
    mount(None, "/proc", None, MS_REC | MS_PRIVATE)
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)


def limit_pids(most: int) -> None:
    """Let the PID namespace of this process, which has its own /proc, hold so many processes and threads.

    Before Linux 6.14 there is one such limit for the whole host: there, nothing is changed. The kernel
    takes no less than FEWEST_PIDS. 0: no limit.
    """
    if most and _RELEASE >= (6, 14):
        with suppress(OSError):
            file = os.open("/proc/sys/kernel/pid_max", os.O_WRONLY)
            os.write(file, b"%d" % max(most, FEWEST_PIDS))
            os.close(file)


def restart_pids() -> bool:
    """Have the next process of this PID namespace, which has its own /proc, get the first pid after init's;
    return whether that is allowed.

    Once they have come round, the kernel gives out none below 300 any more: fewer than `limit_pids` said.
    """
    with suppress(OSError):
        file = os.open("/proc/sys/kernel/ns_last_pid", os.O_WRONLY)
        try:
            os.write(file, b"1")
            return True
        finally:
            os.close(file)
    return False


def own_pid_namespace() -> int | None:
    """Return a handle of this process's PID namespace, or None if it may not make others.

    Tried and not asked for: rights, seccomp filters and limits of the host all have a say.
    """
    try:
        handle = os.open("/proc/self/ns/pid", os.O_RDONLY)
    except OSError:
        return None
    try:
        pid = fork_into_namespace(handle)
    except OSError:
        os.close(handle)
        return None
    if pid == 0:
        try:
            own_proc()
            os._exit(0)
        finally:
            os._exit(1)
    if os.waitpid(pid, 0)[1] == 0:
        return handle
    os.close(handle)
    return None


def fork_into_namespace(back: int) -> int:
    """Fork; the child is the init of a new PID namespace. `back` is a handle of this process's own."""
    unshare(CLONE_NEWPID)  # of the next child, not of this process
    try:
        pid = os.fork()
    except OSError:
        setns(back, CLONE_NEWPID)
        raise
    if pid != 0:
        setns(back, CLONE_NEWPID)
    return pid


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
