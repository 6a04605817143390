"""The content of versions: rows of 1 MiB, written by COPY and read piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import IO, Any

from django.db import connection

PIECE = 1024 * 1024  # bytes of every row but the last of a version
_COPY = "COPY artifact_chunk (version_id, place, content) FROM STDIN (FORMAT BINARY)"


@dataclass(frozen=True, slots=True)
class Written:
    """What was stored."""

    version_id: int
    size: int
    sha256: str


class Writer:
    """Writes contents, one version after the other."""

    def __init__(self, copy: Any) -> None:
        self._copy = copy

    def write(self, version_id: int, file: IO[bytes], most: int) -> Written:
        """Store a file from where it stands to its end, at most `most` bytes of it."""
        digest, size = sha256(), 0
        while size < most and (piece := file.read(min(PIECE, most - size))):
            self._copy.write_row((version_id, size // PIECE, piece))
            digest.update(piece)
            size += len(piece)
        return Written(version_id, size, digest.hexdigest())


@contextmanager
def writing() -> Iterator[Writer]:
    """Give a writer; use it in a transaction. `file.read(n)` must give n bytes until the end."""
    with connection.cursor() as cursor, connection.wrap_database_errors, cursor.copy(_COPY) as copy:
        copy.set_types(["int8", "int4", "bytea"])
        yield Writer(copy)


def read_piece(version_id: int, place: int) -> bytes:
    """Return a piece; empty when there is none (any more)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT content FROM artifact_chunk WHERE version_id = %s AND place = %s", [version_id, place]
        )
        row = cursor.fetchone()
    return b"" if row is None else bytes(row[0])


def read_all(version_id: int, size: int) -> bytes:
    """Return a whole content. For small ones only."""
    return b"".join(read_piece(version_id, place) for place in range(-(-size // PIECE)))
