"""Keep the first bytes of a stream, and know that there were more."""

from __future__ import annotations

from dataclasses import dataclass

LIMIT = 10 * 1024 * 1024  # bytes per stream: contract section 8


@dataclass(frozen=True, slots=True)
class Captured:
    """The kept bytes of a stream that has ended."""

    raw: bytes = b""
    truncated: bool = False


EMPTY = Captured()


class Capture:
    """Collect bytes up to `limit` and drop the rest, so that a flood costs no memory."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._kept = bytearray()
        self._limit = limit
        self._truncated = False

    def add(self, chunk: bytes) -> None:
        room = self._limit - len(self._kept)
        self._kept += chunk[:room]
        self._truncated = self._truncated or len(chunk) > room

    def close(self) -> Captured:
        return Captured(bytes(self._kept), self._truncated)
