"""What a step fails at is found, tried alone, and in the end set aside; everything else goes on.

A batch that raises is halved down to the rows that make it raise. Such a row is counted in `step_failure`,
which claims pass over, and tried alone by the polls, with growing pauses. Each try is counted before it
begins, so a row that kills the process that does it is counted, too. After topology.DELIVERY_LIMIT failures
it becomes a dead letter and waits for a person.

A process can't know which row of a batch killed the one before it. So the first rows that a service does
after its start are done one by one, each counted before: a crash is always followed by a start.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

import structlog
from django.db import DatabaseError, InterfaceError, connections, transaction

from attune_project.messaging.keeping import Dead, body_of, keep
from attune_project.messaging.reasons import PROCESS_DIED, STEP_FAILED, blames_row, words_of
from attune_project.messaging.topology import DELIVERY_LIMIT, MessageType
from attune_project.statements import rows_of

log = structlog.get_logger(__name__)
MESSAGES = "message"  # what stands for a step where a message is counted
FIRST_PAUSE, GROWTH = 2.0, 3.0  # seconds: 2, 6, 18, 54
DIED = "The process that did this step ended without a word: killed, out of memory, or crashed."


class Step(Protocol):
    """The part of steps.OwedStep that this needs."""

    @property
    def name(self) -> str: ...
    @property
    def message(self) -> MessageType | None: ...
    @property
    def only(self) -> Callable[[list[int]], int] | None: ...
    @property
    def table(self) -> str: ...
    @property
    def owed(self) -> str: ...
    @property
    def owing(self) -> str: ...


def passed_over(name: str, column: str = "id") -> str:
    """Return the SQL condition that a step has not failed at a row."""
    return f"({column} IN (SELECT row_id FROM step_failure WHERE step = '{name}')) IS NOT TRUE"  # noqa: S608


def work_around(step: Step, problem: Exception, limit: int, until: float) -> int:
    """Do a batch that raised in halves, down to the rows that raise; return how many rows were done.

    Raises the problem again when no row is to blame for it. Ends at `until` (monotonic): the next claim
    finds what is left.
    """
    only = step.only
    if only is None or not blames_row(problem):
        raise problem
    blamed = 0
    done = 0
    parts = [_owing(step, limit)]
    while parts and (time.monotonic() < until or not blamed):
        part = parts.pop()
        if not part:
            continue
        try:
            done += only(part)
        except Exception as found:
            if not blames_row(found):
                raise
            if len(part) == 1:
                blamed += 1
                note(step, part[0], found)
            else:
                middle = len(part) // 2
                parts += [part[middle:], part[:middle]]
    if not blamed:
        raise problem
    return done


def _owing(step: Step, limit: int) -> list[int]:
    statement = f"SELECT id FROM {step.table} WHERE {step.owing} ORDER BY id LIMIT %s"  # noqa: S608
    return [row[0] for row in rows_of(statement, [limit])]


_NOTE = f"""
INSERT INTO step_failure (step, row_id, failures, reason, detail, retry_at)
VALUES (%s, %s, 1, %s, %s, now() + make_interval(secs => {FIRST_PAUSE}))
ON CONFLICT (step, row_id) DO UPDATE
SET failures = step_failure.failures + 1, reason = EXCLUDED.reason, detail = EXCLUDED.detail,
    updated = clock_timestamp()
RETURNING failures
"""  # noqa: S608 (numbers of our own)


def note(step: Step, row_id: int, problem: Exception) -> None:
    """Count a failure of a step at a row that nobody has begun to count."""
    log.warning("step failed at a row", step=step.name, row=row_id, error=f"{type(problem).__name__}")
    (failures,) = rows_of(_NOTE, [step.name, row_id, STEP_FAILED, words_of(problem)])[0]
    if failures >= DELIVERY_LIMIT:
        set_aside(step, row_id)


_NEXT = f"""
UPDATE step_failure
SET failures = failures + 1, reason = %s, detail = %s, updated = clock_timestamp(),
    retry_at = now() + make_interval(secs => {FIRST_PAUSE} * power({GROWTH}, LEAST(failures, 8)))
WHERE id = (SELECT id FROM step_failure WHERE step = %s AND retry_at <= now()
            ORDER BY retry_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING row_id, failures
"""  # noqa: S608 (numbers of our own)


def again(step: Step, most: int = 100) -> int:
    """Try what a step has failed at and is due by now, each row alone; return how many were done."""
    if step.only is None:
        return 0
    done = 0
    for _ in range(most):
        rows = rows_of(_NEXT, [PROCESS_DIED, DIED, step.name])
        if not rows:
            break
        row_id, failures = rows[0]
        if failures > DELIVERY_LIMIT:  # the last try was counted, and nobody came back from it
            set_aside(step, row_id)
        else:
            done += _alone(step, row_id, last=failures == DELIVERY_LIMIT)
    return done


def carefully(step: Step, limit: int, until: float) -> int:
    """Do the oldest rows one by one, each counted before; return how many were done."""
    if step.only is None:
        return 0
    done = 0
    for row_id in _owing(step, limit):
        if time.monotonic() >= until:
            break
        (failures,) = rows_of(_NOTE, [step.name, row_id, PROCESS_DIED, DIED])[0]
        done += _alone(step, row_id, last=failures >= DELIVERY_LIMIT)
    return done


def _alone(step: Step, row_id: int, *, last: bool) -> int:
    """Do one row, whose try is counted already; what it can't be blamed for is not held against it."""
    assert step.only is not None
    try:
        done = step.only([row_id])
    except Exception as problem:
        if not blames_row(problem):
            connections.close_all()
            with suppress(DatabaseError, InterfaceError):
                _uncount(step.name, row_id)
            raise
        _explain(step.name, row_id, problem)
        if last:
            set_aside(step, row_id)
        return 0
    _forget_done(step, row_id)
    return done


def _uncount(step: str, row_id: int) -> None:
    rows_of(
        "UPDATE step_failure SET failures = GREATEST(failures - 1, 0) WHERE step = %s AND row_id = %s",
        [step, row_id],
    )


def _explain(step: str, row_id: int, problem: Exception) -> None:
    log.warning("step failed at a row again", step=step, row=row_id, error=type(problem).__name__)
    rows_of(
        "UPDATE step_failure SET reason = %s, detail = %s, updated = clock_timestamp()"
        " WHERE step = %s AND row_id = %s",
        [STEP_FAILED, words_of(problem), step, row_id],
    )


def _forget_done(step: Step, row_id: int) -> None:
    """Forget the failures of a row that owes the step no more; one that another holds is tried later."""
    rows_of(
        f"DELETE FROM step_failure WHERE step = %s AND row_id = %s"  # noqa: S608 (names of our own)
        f" AND NOT EXISTS (SELECT 1 FROM {step.table} owing WHERE owing.id = %s AND {step.owed})",
        [step.name, row_id, row_id],
    )


def set_aside(step: Step, row_id: int) -> None:
    """Make a dead letter of a row: claims and polls leave it to a person."""
    message = step.message
    with transaction.atomic():
        rows = rows_of(
            "UPDATE step_failure SET retry_at = NULL, failures = LEAST(failures, %s),"
            " updated = clock_timestamp() WHERE step = %s AND row_id = %s"
            " RETURNING failures, reason, detail",
            [DELIVERY_LIMIT, step.name, row_id],
        )
        if not rows:
            return
        failures, reason, detail = rows[0]
        statement = f"SELECT trace_id FROM {step.table} WHERE id = %s"  # noqa: S608 (a name of our own)
        traces = rows_of(statement, [row_id])
        keep(
            Dead(
                queue=message.queue if message else "",
                exchange=message.exchange if message else "",
                routing_key=message.routing_key if message else "",
                reason=reason,
                detail=detail,
                body=body_of(message.argument, row_id) if message else "",
                trace_id=traces[0][0] if traces else None,
                step=step.name,
                row_id=row_id,
                deaths=failures,
            )
        )


def release(step: str, row_ids: Sequence[int]) -> None:
    """Let claims see rows again that were set aside."""
    rows_of("DELETE FROM step_failure WHERE step = %s AND row_id = ANY(%s::bigint[])", [step, list(row_ids)])


_NOTE_MESSAGE = """
INSERT INTO step_failure (step, message_id, failures, reason, detail) VALUES (%s, %s, 1, %s, %s)
ON CONFLICT (step, message_id) DO UPDATE
SET failures = step_failure.failures + 1, reason = EXCLUDED.reason, detail = EXCLUDED.detail,
    updated = clock_timestamp()
RETURNING failures
"""


def note_message(message_id: str, reason: str, detail: str) -> int:
    """Count a failure of a message, with the reason; return how many that makes."""
    return int(rows_of(_NOTE_MESSAGE, [MESSAGES, message_id, reason, detail])[0][0])


def explain_message(message_id: str, reason: str, detail: str) -> None:
    """Say why a message failed that has been counted before it was tried."""
    rows_of(
        "UPDATE step_failure SET reason = %s, detail = %s, updated = clock_timestamp()"
        " WHERE step = %s AND message_id = %s",
        [reason, detail, MESSAGES, message_id],
    )


def take_message(message_id: str) -> tuple[str, str] | None:
    """Forget a message that is set aside; return the (reason, detail) that was noted last, if any was."""
    rows = rows_of(
        "DELETE FROM step_failure WHERE step = %s AND message_id = %s RETURNING reason, detail",
        [MESSAGES, message_id],
    )
    return (rows[0][0], rows[0][1]) if rows else None
