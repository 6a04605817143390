"""The pipeline's steps: what each owes, the verb that does it, and what its row says.

The app that owns a step registers it in `ready()`. The task of its message, the poll of its service
and the checks all go through this one registry.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from attune_project.messaging import failures
from attune_project.messaging.topology import MessageType
from attune_project.statements import rows_of

log = structlog.get_logger(__name__)
BATCH = 500
BUDGET_SECONDS = 1.0
MOST_COUNTED = 1000


@dataclass(frozen=True)
class OwedStep:
    """One step of the pipeline.

    `owed` is a FROM/WHERE over the step's partial index with the statuses written as literals (a bound
    parameter can miss the index); `since` is the column that says since when a row owes. `only` does the
    step for these rows and no others: with it, rows that the step fails at are told from the rest.
    """

    name: str
    service: str
    message: MessageType | None
    verb: Callable[[int], int]  # (most rows) -> rows done; a full count means there may be more
    table: str
    owed: str
    since: str
    waits_by_design: Callable[[], bool] = lambda: False  # e.g. no slot is free in this process
    only: Callable[[list[int]], int] | None = None

    @property
    def owing(self) -> str:
        """Return `owed` without the rows that the step has failed at: those are tried alone."""
        return f"{self.owed} AND {failures.passed_over(self.name)}" if self.only else self.owed


_steps: dict[str, OwedStep] = {}
_hints: dict[str, Callable[[list[int]], None]] = {}
_noted: dict[str, float] = {}
_unproven: set[str] = set()  # steps that this process has not done since it started


def register(step: OwedStep) -> None:
    _steps[step.name] = step


def register_hint(message: MessageType, verb: Callable[[list[int]], None]) -> None:
    """Register what a message without owed rows does with the ids it carries."""
    _hints[message.name] = verb


def every() -> list[OwedStep]:
    return list(_steps.values())


def of_message(message: MessageType) -> OwedStep | None:
    return next((step for step in _steps.values() if step.message == message), None)


def hint_of(message: MessageType) -> Callable[[list[int]], None] | None:
    return _hints.get(message.name)


def of_service(service: str) -> list[OwedStep]:
    return [step for step in _steps.values() if step.service == service]


def start_carefully(service: str) -> None:
    """Have the steps of a service that starts done one row at a time at first: see failures.py."""
    _unproven.update(step.name for step in of_service(service))


def work(step: OwedStep, budget: float = BUDGET_SECONDS) -> tuple[int, bool]:
    """Run a step until a claim comes back short; return (rows done, whether the budget ended it).

    The budget lets a solo process look after its other queues and its heartbeats under a backlog.
    """
    done = 0
    ends = time.monotonic() + budget
    if step.name in _unproven:
        done = failures.carefully(step, BATCH, ends)
        _unproven.discard(step.name)
    while True:
        try:
            count = step.verb(BATCH)
        except Exception as problem:
            count = failures.work_around(step, problem, BATCH, ends)
            full = True  # what was passed over may have hidden others
        else:
            full = count >= BATCH
        done += count
        if not full:
            return done, False
        for neighbour in of_service(step.service):  # they wait for the same solo process
            note_full_claim(neighbour.name)
        if time.monotonic() >= ends:
            return done, True


def note_full_claim(name: str) -> None:
    """Note that this step is behind, not broken: what polls find meanwhile is no repair."""
    now = time.monotonic()
    if now - _noted.get(name, 0.0) < 0.5:
        return
    _noted[name] = now
    _upsert(name, "full_claim_at = now()")


def note_poll(name: str, repairs: int) -> None:
    if repairs:
        _upsert(
            name, f"polled_at = now(), repaired_at = now(), repairs = step.repairs + {int(repairs)}", repairs
        )
    else:
        _upsert(name, "polled_at = now()")


def touch(name: str) -> None:
    """Say that this step's own loop (the timers of beat, say) is alive."""
    _upsert(name, "polled_at = now()")


def _upsert(name: str, change: str, repairs: int = 0) -> None:
    columns = "full_claim_at" if change.startswith("full_claim_at") else "polled_at"
    rows_of(
        f"INSERT INTO step (name, {columns}, repairs, repaired_at)"  # noqa: S608 (names of our own)
        " VALUES (%s, now(), %s, CASE WHEN %s > 0 THEN now() END)"
        f" ON CONFLICT ON CONSTRAINT step_name_key DO UPDATE SET {change}, updated = now()",
        [name, repairs, repairs],
    )


def owed_count(step: OwedStep, older_than: float, limit: int = MOST_COUNTED) -> int:
    """Return how many rows have owed this step for more than `older_than` seconds, at most `limit`."""
    statement = (
        f"SELECT count(*) FROM (SELECT 1 FROM {step.table} WHERE {step.owing}"  # noqa: S608
        f" AND {step.since} < now() - make_interval(secs => %s) LIMIT %s) owed"
    )
    return int(rows_of(statement, [older_than, limit])[0][0])


def is_behind(name: str, seconds: float) -> bool:
    """Return whether some process's claim came back full within these seconds."""
    rows = rows_of(
        "SELECT full_claim_at > now() - make_interval(secs => %s) FROM step WHERE name = %s",
        [seconds, name],
    )
    return bool(rows and rows[0][0])
