"""Look for rows that break a promise; nothing is changed."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import DatabaseError, connection, transaction

from attune_project.console.invariants.every import INVARIANTS
from attune_project.console.invariants.invariant import Invariant

MOST_ROWS = 20
OURS = ("attune_project", "sensors", "executions", "rules")
_WORDS = {
    ":age": "(now() - make_interval(secs => %(seconds)s))",
    ":lease": "make_interval(secs => %(lease)s)",
    ":ended": "('completed', 'failed', 'cancelled', 'timeout', 'abandoned')",
    ":constraints": "%(constraints)s::text[]",
}


@dataclass(frozen=True)
class Violation:
    """What came of one look: how many rows break the promise, or `error`: why that could not be told."""

    invariant: Invariant
    count: int
    rows: list[dict[str, Any]]  # the first few
    error: str | None = None


def violations(seconds: float = 30) -> list[Violation]:
    """Return every broken promise; what has been under way for less than `seconds` breaks none.

    Raises what the database says when a promise could not be looked at.
    """
    found = [_look(invariant, seconds, None) for invariant in INVARIANTS]
    return [violation for violation in found if violation.count]


def check(
    wanted: Iterable[Invariant], seconds: float, *, timeout: float, budget: float = float("inf")
) -> Iterator[Violation]:
    """Look at each of these, for `timeout` seconds at most, and for `budget` seconds in all.

    What holds has a count of 0. What could not be looked at has an `error`, and holds up no other.
    """
    ends = time.monotonic() + budget
    for invariant in wanted:
        left = min(timeout, ends - time.monotonic())
        if left <= 0:
            yield Violation(invariant, 0, [], f"not looked at within {budget:g} s in all")
            continue
        try:
            yield _look(invariant, seconds, left)
        except DatabaseError as problem:
            yield Violation(invariant, 0, [], f"{type(problem).__name__}: {problem}".strip())


def _look(invariant: Invariant, seconds: float, timeout: float | None) -> Violation:
    limit = 0 if timeout is None else max(1, int(timeout * 1000))
    parameters: dict[str, Any] = {
        "seconds": seconds,
        "lease": settings.ATTUNE_LEASE_SECONDS,
        "constraints": constraints(),
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(limit)])
        cursor.execute(_statement(invariant), parameters)
        names = [column.name for column in cursor.description or ()][1:]
        rows = cursor.fetchall()
    return Violation(
        invariant, rows[0][0] if rows else 0, [dict(zip(names, row[1:], strict=True)) for row in rows]
    )


def constraints() -> list[str]:
    """Return the names of the constraints that our models declare."""
    ours = (model for model in apps.get_models() if model.__module__.partition(".")[0] in OURS)
    return sorted({constraint.name for model in ours for constraint in model._meta.constraints})


def _statement(invariant: Invariant) -> str:
    query = invariant.query
    for word, meaning in _WORDS.items():
        query = query.replace(word, meaning)
    return f"SELECT count(*) OVER () AS total, broken.* FROM ({query}) broken LIMIT {MOST_ROWS}"  # noqa: S608
