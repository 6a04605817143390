"""An attempt's log, page by page: from its pieces, or from the result where that has the text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from executions import log_chunks
from executions.log_chunks import from_next_character

SIZE = 1024 * 1024  # bytes of a page
LONGEST = 2**30  # bytes: PostgreSQL holds no longer text, and counts its bytes in 32 bits


@dataclass(frozen=True, slots=True)
class Page:
    """Text from byte `start` on, as UTF-8. `complete`: the attempt is over, and this is the end of it.

    `attempt` is 0 while there is none.
    """

    attempt: int
    start: int
    content: bytes
    complete: bool

    @property
    def end(self) -> int:
        return self.start + len(self.content)


_ATTEMPT = """
SELECT t.number, COALESCE(t.finished_at, x.finished_at) IS NOT NULL
FROM execution x LEFT JOIN attempt t ON t.execution_id = x.id AND t.number = COALESCE(%s, (
    SELECT max(number) FROM attempt WHERE execution_id = x.id))
WHERE x.id = %s
"""
_IN_RESULT = """
SELECT substring(convert_to(COALESCE(t.result, x.result) ->> %s, 'UTF8') FROM %s)
FROM execution x JOIN attempt t ON t.execution_id = x.id AND t.number = %s
WHERE x.id = %s AND (t.result IS NOT NULL
                     OR t.number = (SELECT max(number) FROM attempt WHERE execution_id = x.id))
  AND NOT EXISTS (SELECT 1 FROM log_chunk c
                  WHERE c.execution_id = x.id AND c.attempt = t.number AND c.stream = %s)
"""


def page(execution_id: int, stream: str, attempt: int | None, offset: int) -> Page | None:
    """Return what there is from byte `offset` on, up to a page; None if there is no such attempt.

    Without `attempt` it is the last one's.
    """
    found = _row(_ATTEMPT, [attempt, execution_id])
    if found is None or (found[0] is None and attempt is not None):
        return None
    number, over = found[0] or 0, bool(found[1])
    # Whether the attempt is over was read first: then what is read now is all there will be.
    content = log_chunks.read(execution_id, number, stream, offset, SIZE)
    ended = over and len(content) < SIZE
    if over and not content:
        content, ended = _from_result(execution_id, stream, number, offset), True
    skipped, content = from_next_character(content)
    return Page(number, offset + skipped, content, ended)


def _from_result(execution_id: int, stream: str, attempt: int, offset: int) -> bytes:
    if offset >= LONGEST:
        return b""
    found = _row(_IN_RESULT, [stream, offset + 1, attempt, execution_id, stream])
    return bytes(found[0]) if found and found[0] else b""


# Each is a few probes of an index: the last attempt, and how far its streams are.
_SIGNATURES = """
SELECT x.id, x.status, last.number,
       (SELECT max(start) FROM log_chunk c
        WHERE c.execution_id = x.id AND c.attempt = last.number AND c.stream = 'stdout'),
       (SELECT max(start) FROM log_chunk c
        WHERE c.execution_id = x.id AND c.attempt = last.number AND c.stream = 'stderr')
FROM execution x
LEFT JOIN LATERAL (SELECT max(number) AS number FROM attempt t WHERE t.execution_id = x.id) last ON true
WHERE x.id = ANY(%s)
"""


def signatures(ids: Sequence[int]) -> dict[int, tuple[Any, ...]]:
    """Return for each execution what changes whenever its logs do."""
    with connection.cursor() as cursor:
        cursor.execute(_SIGNATURES, [list(ids)])
        return {row[0]: tuple(row[1:]) for row in cursor.fetchall()}


def _row(statement: str, parameters: list[Any]) -> tuple[Any, ...] | None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        found: tuple[Any, ...] | None = cursor.fetchone()
        return found
