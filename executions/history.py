"""What an execution has been through, worked out from the rows that are there: nothing is written for it.

The time of a status that isn't kept is None: when an earlier attempt was scheduled, and when one that has
ended was asked to stop.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, Literal

from django.db.models import QuerySet

from executions.models import TERMINAL, Attempt, Execution, Status

MOST_RERUNS = 1000


@dataclass(frozen=True)
class Passage:
    """A status that an execution came to, or the re-run that was made of it.

    `by` is who asked for that, `execution` the other one of a re-run: the original, or the new one.
    """

    event: Literal["status", "rerun"]
    at: datetime | None
    status: str | None = None
    attempt: int | None = None
    worker: int | None = None
    by: int | None = None
    reason: str | None = None
    execution: int | None = None


def history_of(execution: Execution, reruns: QuerySet[Execution]) -> list[Passage]:
    """Return what an execution has been through, in order, and then which of these re-runs it has."""
    attempts = list(execution.attempts.defer("result").order_by("number"))
    again = reruns.filter(original_execution_id=execution.pk).order_by("id")
    columns = ("created", "status", "executor_id", "rerun_reason", "pk")
    return [
        _requested(execution),
        *_tried(execution, attempts),
        *_ended(execution, attempts[-1] if attempts else None),
        *(
            Passage("rerun", at, status, by=by, reason=reason, execution=pk)
            for at, status, by, reason, pk in again.values_list(*columns)[:MOST_RERUNS]
        ),
    ]


def _requested(execution: Execution) -> Passage:
    why = execution.rerun_reason or (execution.rule_ref and f"rule {execution.rule_ref}")
    return Passage(
        "status", execution.created, Status.REQUESTED, by=execution.executor_id, reason=why,
        execution=execution.original_execution_id,
    )  # fmt: skip


def _tried(execution: Execution, attempts: Sequence[Attempt]) -> Iterator[Passage]:
    went_back = execution.started_at is None
    for attempt, following in pairwise((*attempts, None)):
        assert attempt is not None
        present = following is None and not went_back
        yield Passage("status", execution.scheduled_at if present else None, Status.SCHEDULED)
        yield _of(attempt, attempt.started_at, Status.RUNNING)
        if not present:
            yield _of(attempt, attempt.finished_at, Status.REQUESTED, reason=_AGAIN.get(attempt.status))
    if went_back and execution.scheduled_at is not None:
        yield Passage("status", execution.scheduled_at, Status.SCHEDULED)


_AGAIN: Mapping[str, str] = {
    Status.FAILED: "tried again: the attempt failed",
    Status.TIMEOUT: "tried again: the attempt went over its time limit",
    Status.ABANDONED: "tried again: the worker of the attempt was lost",
}


def _ended(execution: Execution, last: Attempt | None) -> Iterator[Passage]:
    """Tell of a running execution's cancel, and of the end."""
    ran = last if execution.started_at is not None else None
    by, why = execution.cancelled_by_id, execution.cancel_reason
    result = execution.result if isinstance(execution.result, dict) else {}
    if execution.status == Status.CANCELING:
        yield _of(ran, execution.updated, Status.CANCELING, by=by, reason=why)
    elif ran is not None and (execution.status == Status.CANCELLED or _was_canceling(result)):
        yield _of(ran, None, Status.CANCELING, by=by, reason=why)
    if execution.status in TERMINAL:
        error = result.get("error")
        cancelled = execution.status == Status.CANCELLED
        yield _of(
            ran, execution.finished_at, execution.status, by=by if cancelled else None,
            reason=(cancelled and why) or (error if isinstance(error, str) else None),
        )  # fmt: skip


def _was_canceling(result: Mapping[str, Any]) -> bool:
    """Tell whether a lost worker was to stop what it ran."""
    return result.get("original_status") == Status.CANCELING


def _of(attempt: Attempt | None, at: datetime | None, status: str, **more: Any) -> Passage:
    if attempt is None:
        return Passage("status", at, status, **more)
    return Passage("status", at, status, attempt.number, attempt.worker_id, **more)
