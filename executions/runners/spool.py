"""Bytes in order: a few in memory, many in a file without a name."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress

IN_MEMORY = 256 * 1024  # bytes
STEP = 64 * 1024


class Spool:
    """Append at the end, read anywhere; what is in it costs at most `in_memory` bytes of memory.

    One thread adds and others may read what was added before: the file is read by position. It has no
    name and goes with this object, so a killed worker leaves nothing behind.
    """

    __slots__ = ("_file", "_kept", "_most", "size")

    def __init__(self, in_memory: int = IN_MEMORY) -> None:
        self.size = 0
        self._most = in_memory
        self._kept = bytearray()
        self._file: int | None = None

    def add(self, data: bytes) -> None:
        """Append. Raises OSError when the disk is full; what was there before stays."""
        if self._file is None and self.size + len(data) > self._most:
            self._spill()
        if self._file is None:
            self._kept += data
        else:
            _write(self._file, data, self.size)
        self.size += len(data)

    def read(self, start: int, size: int) -> bytes:
        kept, file = self._kept, self._file  # in this order: once there is a file, everything is in it
        if file is None:
            return bytes(kept[start : start + size])
        return os.pread(file, max(0, min(size, self.size - start)), start)

    @property
    def in_memory(self) -> bytes | None:
        """Everything, while it is few enough for memory."""
        return bytes(self._kept) if self._file is None else None

    def pieces(self, step: int = STEP) -> Iterator[bytes]:
        """Return everything, piece by piece."""
        for start in range(0, self.size, step):
            yield self.read(start, step)

    def _spill(self) -> None:
        file, path = tempfile.mkstemp(prefix="attune-output-")
        try:
            os.unlink(path)
            _write(file, bytes(self._kept), 0)
        except OSError:
            os.close(file)
            raise
        self._file = file
        self._kept = bytearray()

    def __del__(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                os.close(self._file)


def _write(file: int, data: bytes, start: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, start)
        view, start = view[written:], start + written
