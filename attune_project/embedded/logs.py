"""The output of many processes in one terminal: each line whole, with the name of who said it."""

import contextlib
import os
from collections import deque
from dataclasses import dataclass, field

COLOURS = {
    "postgres": 34,
    "valkey": 35,
    "web": 32,
    "beat": 33,
    "sensor": 36,
    "executor": 94,
    "worker": 92,
    "notifier": 95,
}
LONGEST_LINE = 64 * 1024


class Terminal:
    """Where lines go. A quiet one keeps what programs say until something fails (`show_kept`)."""

    def __init__(self, descriptor: int, *, quiet: bool = False) -> None:
        self.descriptor = descriptor
        self.quiet = quiet
        self.coloured = os.isatty(descriptor) and not os.environ.get("NO_COLOR")
        self._kept: deque[bytes] = deque(maxlen=60)

    def say(self, text: str) -> None:
        """Print a line of our own."""
        self._write(f"{text}\n".encode())

    def prefixer(self, name: str) -> "Prefixer":
        label = f"{name:<9}|"
        if self.coloured:
            label = f"\033[{COLOURS.get(name, 37)}m{label}\033[0m"
        return Prefixer(self, f"{label} ".encode())

    def pass_on(self, line: bytes) -> None:
        if self.quiet:
            self._kept.append(line)
        else:
            self._write(line)

    def show_kept(self) -> None:
        while self._kept:
            self._write(self._kept.popleft())

    def _write(self, line: bytes) -> None:
        """One line, one write; a terminal that went away is no reason to stop anything."""
        with contextlib.suppress(OSError):
            os.write(self.descriptor, line)


@dataclass
class Prefixer:
    """Cut one process's output into lines and pass each on with its prefix."""

    terminal: Terminal
    prefix: bytes
    rest: bytes = field(default=b"", init=False)

    def feed(self, output: bytes) -> None:
        *lines, self.rest = (self.rest + output).split(b"\n")
        for line in lines:
            self.terminal.pass_on(self.prefix + line + b"\n")
        if len(self.rest) > LONGEST_LINE:
            self.finish()

    def finish(self) -> None:
        if self.rest:
            self.terminal.pass_on(self.prefix + self.rest + b"\n")
        self.rest = b""
