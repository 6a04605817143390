"""Keep the first bytes of a stream, and know that there were more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from executions.runners.spool import Spool

LIMIT = 10 * 1024 * 1024  # bytes per stream: contract section 8


@dataclass(frozen=True, slots=True)
class Captured:
    """The kept bytes of a stream that has ended: `head` in memory, or all of it in `spool`."""

    head: bytes = b""
    truncated: bool = False
    spool: Spool | None = None

    @property
    def size(self) -> int:
        return len(self.head) if self.spool is None else self.spool.size

    @property
    def raw(self) -> bytes:
        """Everything, in memory."""
        return self.head if self.spool is None else self.spool.read(0, self.size)

    def pieces(self) -> Iterator[bytes]:
        """Return everything, piece by piece."""
        return iter((self.head,)) if self.spool is None else self.spool.pieces()


EMPTY = Captured()


class Capture:
    """Collect bytes up to `limit` and drop the rest, so that a flood costs little memory."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._kept = Spool()
        self._limit = limit
        self._truncated = False

    def add(self, chunk: bytes) -> None:
        room = self._limit - self._kept.size
        if room > 0 and not self._truncated:
            self._keep(chunk[:room])
        self._truncated = self._truncated or len(chunk) > room

    def _keep(self, chunk: bytes) -> None:
        try:
            self._kept.add(chunk)
        except OSError:  # the disk is full: what was read before is kept
            self._truncated = True

    def close(self) -> Captured:
        head = self._kept.in_memory
        if head is not None:
            return Captured(head, self._truncated)
        return Captured(truncated=self._truncated, spool=self._kept)
