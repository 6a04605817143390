"""What actions write, as rows: stored in bulk under the lease, read from any byte on."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from executions.waking import LOG_CHANNEL


@dataclass(frozen=True, slots=True)
class Piece:
    """Some bytes of one stream of one attempt, from byte `start` on: whole characters, secrets masked."""

    execution_id: int
    token: uuid.UUID
    attempt: int
    stream: str
    start: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Rest:
    """What of an attempt's output is stored with its end.

    `in_log` names the streams whose text the result takes from the log: it is too long to travel twice.
    """

    attempt: int = 0
    pieces: tuple[Piece, ...] = ()
    in_log: tuple[str, ...] = ()


NOTHING_LEFT = Rest()

# Under a lease that is over nothing is stored any more. A piece that is there already came before its
# answer was lost.
STORE = """
WITH given AS (
    SELECT * FROM unnest(%s::bigint[], %s::uuid[], %s::int[], %s::text[], %s::bigint[], %s::text[])
         AS given(execution_id, token, attempt, stream, start, content)
), held AS MATERIALIZED (
    SELECT DISTINCT x.id FROM given g JOIN execution x ON x.id = g.execution_id
    WHERE x.lease_token = g.token AND x.status IN ('running', 'canceling')
), stored AS (
    INSERT INTO log_chunk (execution_id, attempt, stream, start, size, content)
    SELECT g.execution_id, g.attempt, g.stream, g.start, octet_length(g.content),
           convert_to(g.content, 'UTF8')
    FROM given g JOIN held h ON h.id = g.execution_id
    ON CONFLICT ON CONSTRAINT log_chunk_execution_place_key DO NOTHING
), told AS MATERIALIZED (
    SELECT pg_notify(%s, string_agg(id::text, ',')) FROM held HAVING count(*) > 0
)
SELECT held.id FROM held, told
"""


def store(pieces: Sequence[Piece]) -> set[int]:
    """Store pieces, wake who watches, and return the executions whose leases still hold."""
    if not pieces:
        return set()
    columns: list[Any] = [
        [piece.execution_id for piece in pieces],
        [piece.token for piece in pieces],
        [piece.attempt for piece in pieces],
        [piece.stream for piece in pieces],
        [piece.start for piece in pieces],
        [piece.content.decode() for piece in pieces],  # as bytes they would travel four times as long
    ]
    with connection.cursor() as cursor:
        cursor.execute(STORE, [*columns, LOG_CHANNEL])
        return {row[0] for row in cursor.fetchall()}


READ = """
SELECT start, content FROM log_chunk
WHERE execution_id = %s AND attempt = %s AND stream = %s AND start < %s AND start >= COALESCE((
    SELECT max(start) FROM log_chunk WHERE execution_id = %s AND attempt = %s AND stream = %s AND start <= %s
), 0)
ORDER BY start
"""


def read(execution_id: int, attempt: int, stream: str, offset: int, size: int) -> bytes:
    """Return what is stored from byte `offset` on: all, or at least `size` bytes of it, in whole rows."""
    place: list[Any] = [execution_id, attempt, stream]
    with connection.cursor() as cursor:
        cursor.execute(READ, [*place, offset + size, *place, offset])
        rows = cursor.fetchall()
    content = b"".join(bytes(row[1]) for row in rows)
    return content[max(0, offset - rows[0][0]) :] if rows else b""


def whole_characters(content: bytes) -> bytes:
    """Return the content without the beginning of a character at its end."""
    for back in range(1, min(4, len(content)) + 1):
        byte = content[-back]
        if byte & 0xC0 != 0x80:
            length = 1 if byte < 0x80 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return content if length <= back else content[:-back]
    return content


def from_next_character(content: bytes) -> tuple[int, bytes]:
    """Return how many bytes of a character that begins before the content were dropped, and the rest."""
    skipped = next((n for n, byte in enumerate(content[:4]) if byte & 0xC0 != 0x80), 0)
    return skipped, content[skipped:]
