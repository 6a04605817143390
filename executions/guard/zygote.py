"""The zygote: forks the guards that its worker asks for, and buries them."""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
from contextlib import suppress
from typing import NoReturn

from executions.guard import linux, tree, wire
from executions.guard.guard import guard

# Of the zygote and its guards: they are told by their sockets what to do.
IGNORED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2,
           signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGALRM, signal.SIGPIPE)  # fmt: skip
NAP_MS = 10  # between looks at heirs that are being killed


def main(socket_fd: int, namespaces: bool) -> NoReturn:
    """Serve the worker at the other end of the socket, then whoever still runs, and end.

    Each run gets a PID namespace of its own if `namespaces` are wanted and this user may make them.
    """
    _settle()
    own_pids = linux.own_pid_namespace() if namespaces else None
    _Zygote(socket.socket(fileno=socket_fd), own_pids).serve()
    os._exit(0)


def _settle() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for signum in IGNORED:
        signal.signal(signum, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)
    linux.prctl(linux.PR_SET_DUMPABLE, 0)  # others of this user can't look into what guards run on
    linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
    gc.disable()
    gc.freeze()


class _Zygote:
    def __init__(self, worker: socket.socket, own_pids: int | None) -> None:
        self._worker: socket.socket | None = worker
        self._own_pids = own_pids  # a handle of this process's PID namespace; None: guards stay in it
        self._guards: dict[int, socket.socket] = {}
        self._mourned: list[socket.socket] = []  # of guards that died before their heirs
        self._wakes, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        self._wake = wake
        self._poll = select.poll()
        self._poll.register(worker, select.POLLIN)
        self._poll.register(self._wakes, select.POLLIN)

    def serve(self) -> None:
        while self._worker is not None or self._guards or self._mourned:
            for file, _events in self._poll.poll(NAP_MS if self._mourned else None):
                if file == self._wakes:
                    os.read(file, 4096)
                else:
                    self._hear()
            self._reap()
            if self._mourned:
                self._bury_heirs()

    def _hear(self) -> None:
        assert self._worker is not None
        try:
            message, files = wire.receive(self._worker, files=1)
        except OSError:
            message, files = b"", []
        if message:
            self._fork(files[0])
        else:
            self._poll.unregister(self._worker)
            self._worker.close()
            self._worker = None

    def _fork(self, file: int) -> None:
        control = socket.socket(fileno=file)
        try:
            pid = self._forked()
        except OSError as problem:
            with suppress(OSError):
                control.send(wire.failed(problem))
            control.close()
        else:
            if pid == 0:
                self._let_go()
                guard(control)
            self._guards[pid] = control

    def _forked(self) -> int:
        if self._own_pids is None:
            return os.fork()
        return linux.fork_into_namespace(self._own_pids)

    def _let_go(self) -> None:
        """Close, in a guard, what is the zygote's and the other guards'."""
        signal.set_wakeup_fd(-1)
        for other in (*self._guards.values(), *self._mourned):
            other.close()
        if self._worker is not None:
            self._worker.close()
        for file in (self._wakes, self._wake, self._own_pids):
            if file is not None:
                os.close(file)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            control = self._guards.pop(pid, None)
            if control is None:
                continue
            if status == 0 or self._own_pids is not None:
                control.close()
            else:
                self._mourned.append(control)

    def _bury_heirs(self) -> None:
        """Kill what killed guards left behind; let their workers know once nobody is left."""
        tree.strike(self._guards)
        self._reap()
        if all(pid in self._guards for pid in tree.children(os.getpid())):
            for control in self._mourned:
                control.close()
            self._mourned.clear()
