"""What has changed: statements of the streams' reader, each on an index.

Rows are read in their present state. Times are the database's; `updated` does not move after the end.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection

from attune_project.identity.models import Identity
from attune_project.identity.rbac import visible
from executions.models import TERMINAL, Execution

BATCH = 1000
OVERLAP = timedelta(seconds=10)  # a row's time is taken before its transaction commits
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

COLUMNS = (
    "id", "status", "action_ref", "parent_id", "enforcement__id", "rule_ref", "created", "updated",
    "progress__percent", "progress__text", "progress__updated",
)  # fmt: skip

# What began, runs, or ended of late. Few rows are leased; the others are found by their time. (A volatile
# clock_timestamp() would use no index.)
RECENT = """
SELECT id, updated FROM execution
WHERE finished_at IS NOT NULL AND finished_at > statement_timestamp() - make_interval(secs => %(seconds)s)
UNION ALL
SELECT id, updated FROM execution
WHERE created > statement_timestamp() - make_interval(secs => %(seconds)s) AND finished_at IS NULL
UNION ALL
SELECT id, updated FROM execution
WHERE status IN ('running', 'canceling')
  AND updated > statement_timestamp() - make_interval(secs => %(seconds)s)
"""
# The states before the end, each as the index of it says it.
_WAITING = (
    "status = 'requested' AND policy_id IS NULL",
    "status = 'requested' AND policy_id IS NOT NULL",
    "status = 'scheduled'",
)
_LEASED = "status IN ('running', 'canceling')"
_TOUCHED = """SELECT id, updated FROM execution
WHERE {} AND updated > statement_timestamp() - make_interval(secs => %(seconds)s)"""
_UNFINISHED = """(SELECT id FROM execution WHERE {} AND id > %(after)s AND updated >= %(since)s
 ORDER BY id LIMIT %(limit)s)"""
# What waits and was touched: a look at the whole backlog.
WAITING = " UNION ALL ".join(_TOUCHED.format(state) for state in _WAITING)
UNFINISHED = (
    " UNION ALL ".join(_UNFINISHED.format(state) for state in (*_WAITING, _LEASED))
    + " ORDER BY id LIMIT %(limit)s"
)
FINISHED = """
SELECT finished_at, id FROM execution
WHERE finished_at IS NOT NULL AND (finished_at, id) > (%(since)s, %(after)s)
ORDER BY finished_at, id LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Change:
    """An execution as it is now. `created_now`: nobody was told of it before.

    Its own progress does not move `updated`: a hint alone tells that there is some.
    """

    id: int
    status: str
    action_ref: str
    parent: int | None
    enforcement: int | None
    rule_ref: str | None
    created: datetime
    updated: datetime
    percent: float | None = None
    text: str | None = None
    progressed: datetime | None = None
    old_status: str | None = None
    created_now: bool = False

    @property
    def changed_since_creation(self) -> bool:
        return self.updated != self.created or self.status in TERMINAL

    @property
    def cursor(self) -> str:
        return f"{microseconds(self.updated)}-{self.id}"


def microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def moment_of(cursor: int) -> datetime:
    """Return the time of a cursor, in microseconds; one beyond any calendar is the calendar's end."""
    try:
        return EPOCH + timedelta(microseconds=cursor)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def present(ids: Sequence[int]) -> list[Change]:
    """Return the present state of executions, in the order of their changes."""
    rows = Execution.objects.filter(pk__in=ids).order_by("updated", "id")
    return [Change(*row) for row in rows.values_list(*COLUMNS)]


def touched(statement: str, seconds: float) -> list[tuple[int, datetime]]:
    """Return the ids and times of what RECENT or WAITING finds in the last seconds."""
    return _rows(statement, {"seconds": seconds})


def since(cursor: datetime) -> Iterator[list[Change]]:
    """Return the present state of everything that changed since a moment, a batch at a time."""
    begin = max(cursor - OVERLAP, EPOCH)
    after = 0
    while ids := [row[0] for row in _rows(UNFINISHED, {"since": begin, "after": after, "limit": BATCH})]:
        yield present(ids)
        after = ids[-1]
    place: tuple[datetime, int] = (begin, 0)
    while rows := _rows(FINISHED, {"since": place[0], "after": place[1], "limit": BATCH}):
        yield present([row[1] for row in rows])
        place = rows[-1][0], rows[-1][1]


def readable(identity: Identity, ids: Sequence[int]) -> set[int]:
    """Return which of the executions an identity may read."""
    rows = visible(identity, "executions", Execution.objects.filter(pk__in=ids))
    return set(rows.order_by().values_list("pk", flat=True))


def reads_all(identity: Identity) -> bool:
    """Tell whether there is no execution that an identity may not read."""
    return not visible(identity, "executions", Execution.objects.order_by()).query.where


def _rows(statement: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())
