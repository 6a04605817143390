"""Feed a process and drain it, at the same time and without ever waiting for it."""

from __future__ import annotations

import os
import selectors
from contextlib import suppress
from types import TracebackType
from typing import Protocol

from executions.runners.capture import Capture, Captured
from executions.runners.job import Listener, Stream

CHUNK = 64 * 1024


class Speaker(Protocol):
    """Somebody to listen to while the pipes are served."""

    def fileno(self) -> int: ...

    def hear(self) -> None: ...


class Pipes:
    """The pipes of a process; `theirs` are its stdin, stdout and stderr. `pump` moves what can be moved."""

    def __init__(self, stdin: bytes, listener: Listener | None = None) -> None:
        self._selector = selectors.PollSelector()
        self._input = memoryview(stdin)
        self._listener = listener
        self._captures: dict[Stream, Capture] = {"stdout": Capture(), "stderr": Capture()}
        self._ours: set[int] = set()
        self._speaker: Speaker | None = None
        reads, input_end = os.pipe()
        self.theirs = [reads]
        self._watch(input_end, None)
        for stream in self._captures:
            reads, writes = os.pipe()
            self.theirs.append(writes)
            self._watch(reads, stream)
        self._write(input_end)  # nearly always all of it fits in, and then nobody need wake up for it

    def __enter__(self) -> Pipes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def serve(self, speaker: Speaker) -> None:
        """Let go of the ends that were given away, and listen to the speaker from now on."""
        self._close_theirs()
        self._speaker = speaker
        self._selector.register(speaker, selectors.EVENT_READ)

    @property
    def open(self) -> bool:
        """Tell whether someone still holds the other end of stdout or stderr."""
        return any(key.data in self._captures for key in self._selector.get_map().values())

    def pump(self, timeout: float) -> None:
        """Wait up to `timeout` s for anything to happen, then handle it."""
        for key, _events in self._selector.select(max(timeout, 0)):
            if key.data is not None:
                self._read(key.fd, key.data)
            elif key.fd in self._ours:
                self._write(key.fd)
            elif self._speaker is not None:
                self._speaker.hear()

    def unheard(self) -> None:
        """Stop listening to the speaker: it has nothing more to say."""
        if self._speaker is not None:
            self._selector.unregister(self._speaker)
            self._speaker = None

    def close(self) -> tuple[Captured, Captured]:
        """Let go of the pipes, whoever holds their other ends; return stdout and stderr."""
        self._selector.close()
        self._close_theirs()
        while self._ours:
            os.close(self._ours.pop())
        return self._captures["stdout"].close(), self._captures["stderr"].close()

    def _close_theirs(self) -> None:
        while self.theirs:
            os.close(self.theirs.pop())

    def _watch(self, fd: int, stream: Stream | None) -> None:
        """Read a stream of the process, or, None, write to it."""
        os.set_blocking(fd, False)
        self._ours.add(fd)
        self._selector.register(fd, selectors.EVENT_READ if stream else selectors.EVENT_WRITE, stream)

    def _read(self, fd: int, stream: Stream) -> None:
        try:
            chunk = os.read(fd, CHUNK)
        except BlockingIOError:
            return
        if not chunk:
            self._selector.unregister(fd)
            return
        self._captures[stream].add(chunk)
        if self._listener is not None:
            self._listener(stream, chunk)

    def _write(self, fd: int) -> None:
        with suppress(BlockingIOError):
            try:
                self._input = self._input[os.write(fd, self._input[:CHUNK]) :]
            except BrokenPipeError:  # not every action reads its parameters
                self._input = self._input[:0]
        if not self._input:
            self._end_input(fd)

    def _end_input(self, fd: int) -> None:
        self._selector.unregister(fd)
        self._ours.discard(fd)
        os.close(fd)
