"""Feed a process and drain it, at the same time and without ever waiting for it."""

from __future__ import annotations

import os
import selectors
import subprocess
from contextlib import suppress
from typing import IO

from executions.runners.capture import Capture, Captured

CHUNK = 64 * 1024


class Pipes:
    """The ends of a child's pipes that are ours; `pump` moves what can be moved."""

    def __init__(self, child: subprocess.Popen[bytes], stdin: bytes) -> None:
        self._selector = selectors.DefaultSelector()
        self._input = memoryview(stdin)
        self._stdout, self._stderr = Capture(), Capture()
        self._pidfd = _pidfd(child.pid)
        self._files = [file for file in (child.stdin, child.stdout, child.stderr) if file]
        self._watch(child.stdin, selectors.EVENT_WRITE)
        self._watch(child.stdout, selectors.EVENT_READ, self._stdout)
        self._watch(child.stderr, selectors.EVENT_READ, self._stderr)
        if self._pidfd is not None:
            self._selector.register(self._pidfd, selectors.EVENT_READ)

    @property
    def open(self) -> bool:
        """Tell whether someone still holds the other end of stdout or stderr."""
        return any(isinstance(key.data, Capture) for key in self._selector.get_map().values())

    def pump(self, timeout: float) -> None:
        """Wait up to `timeout` s for anything to happen (the child's end counts), then handle it."""
        for key, _events in self._selector.select(max(timeout, 0)):
            if isinstance(key.data, Capture):
                self._read(key.fd, key.data)
            elif key.fd == self._pidfd:
                self._selector.unregister(key.fd)  # it stays readable: once is enough
            else:
                self._write(key.fd)

    def close(self) -> tuple[Captured, Captured]:
        """Let go of the pipes, whoever holds their other ends; return stdout and stderr."""
        self._selector.close()
        for file in self._files:
            file.close()
        if self._pidfd is not None:
            os.close(self._pidfd)
        return self._stdout.close(), self._stderr.close()

    def _watch(self, file: IO[bytes] | None, events: int, capture: Capture | None = None) -> None:
        if file is not None:
            os.set_blocking(file.fileno(), False)
            self._selector.register(file.fileno(), events, capture)

    def _read(self, fd: int, capture: Capture) -> None:
        try:
            chunk = os.read(fd, CHUNK)
        except BlockingIOError:
            return
        if chunk:
            capture.add(chunk)
        else:
            self._selector.unregister(fd)

    def _write(self, fd: int) -> None:
        with suppress(BlockingIOError):
            try:
                self._input = self._input[os.write(fd, self._input[:CHUNK]) :]
            except BrokenPipeError:  # not every action reads its parameters
                self._input = self._input[:0]
        if not self._input:
            self._selector.unregister(fd)
            next(file for file in self._files if file.fileno() == fd).close()
            self._files = [file for file in self._files if not file.closed]


def _pidfd(pid: int) -> int | None:
    """Return a descriptor that becomes readable when the process ends, where the system has it."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None
