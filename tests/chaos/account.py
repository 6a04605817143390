"""The account of every event: what producers were promised against what is stored."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.journal import Journal
from tests.integration.spine import Spine

ENDS = {
    "ch.instant": {"completed"},
    "ch.marked": {"completed", "abandoned", "failed"},  # failed: a child of the worker was killed
    "ch.again": {"failed"},
    "ch.long": {"completed", "cancelled", "abandoned"},
    "ch.noisy": {"completed", "failed"},
    "ch.forking": {"completed", "abandoned"},
    "ch.deaf": {"timeout", "abandoned"},
    "ch.mute": {"failed", "abandoned"},
    "ch.hungry": {"failed", "abandoned"},
}
OURS = "e.trigger_ref LIKE 'ch.%%'"
CHAINS = f"""
SELECT e.trigger_ref, count(DISTINCT e.id), count(DISTINCT e.id) FILTER (WHERE e.status = 'decided'),
       count(DISTINCT n.id), count(DISTINCT x.id),
       count(DISTINCT x.id) FILTER (WHERE x.finished_at IS NOT NULL)
FROM attune.event e LEFT JOIN attune.enforcement n ON n.event_id = e.id
LEFT JOIN attune.execution x ON x.id = n.execution_id
WHERE {OURS} GROUP BY 1
"""
STATUSES = (
    "SELECT trigger_ref, status, count(*) FROM attune.execution WHERE trigger_ref IS NOT NULL GROUP BY 1, 2"
)
STRAYS = """
SELECT x.id, x.trigger_ref FROM attune.execution x WHERE x.trigger_ref LIKE 'ch.%%'
AND NOT EXISTS (SELECT FROM attune.enforcement n WHERE n.execution_id = x.id)
"""
BEYOND = """
SELECT x.id, x.action_ref, max(t.number) FROM attune.execution x
JOIN attune.attempt t ON t.execution_id = x.id JOIN attune.action a ON a.ref = x.action_ref
GROUP BY x.id, x.action_ref, a.max_retries, a.lost_worker_retries
HAVING max(t.number) > 1 + COALESCE(a.max_retries, 0) + COALESCE(a.lost_worker_retries, 0)
"""
OWED = """
SELECT (SELECT count(*) FROM attune.event WHERE status = 'new' AND id <= %s)
     + (SELECT count(*) FROM attune.enforcement WHERE status = 'created' AND id <= %s)
     + (SELECT count(*) FROM attune.execution WHERE id <= %s
        AND (finished_at IS NULL OR settled_at IS NULL))
"""


@dataclass(frozen=True)
class Mark:
    """How far rows had come at a moment."""

    event: int
    enforcement: int
    execution: int


def mark(spine: Spine) -> Mark:
    names = ("event", "enforcement", "execution")
    return Mark(*(int(spine.one(f"SELECT COALESCE(max(id), 0) FROM attune.{name}")) for name in names))


def owed(spine: Spine, until: Mark) -> int:
    """Return how many rows up to a mark owe something."""
    return int(spine.one(OWED, until.event, until.enforcement, until.execution))


@dataclass
class Account:
    """What came of it. `lost` and `doubled` are sentences, one for each kind of thing that is wrong."""

    events: int
    lost: list[str]
    doubled: list[str]
    wrong: list[str]
    statuses: dict[str, dict[str, int]]

    @property
    def right(self) -> bool:
        return not (self.lost or self.doubled or self.wrong)


def account(spine: Spine, journal: Journal, marks: Path) -> Account:
    """Compare the producers' journal with the database, which must have come to rest."""
    found = Account(journal.total(), [], [], [], statuses(spine))
    _events(spine, journal, found)
    for trigger, events, decided, enforcements, executions, ended in spine.sql(CHAINS):
        _chain(found, trigger, events, decided, enforcements, executions, ended)
    _ends(found)
    _strays(spine, found)
    _once(spine, found, marks)
    return found


def statuses(spine: Spine) -> dict[str, dict[str, int]]:
    table: dict[str, dict[str, int]] = {}
    for trigger, status, count in spine.sql(STATUSES):
        table.setdefault(trigger, {})[status] = count
    return table


def _events(spine: Spine, journal: Journal, found: Account) -> None:
    """Each accepted id is a row of its trigger, and there is no row that nobody sent."""
    found.doubled += [f"one key was answered with two ids: {one}" for one in journal.conflicts]
    for trigger, keys in journal.accepted.items():
        ids = {row[0] for row in spine.sql("SELECT id FROM attune.event WHERE trigger_ref = %s", [trigger])}
        rows = len(ids)
        missing = [str(event) for event in keys.values() if event not in ids]
        if missing:
            found.lost.append(f"{trigger}: {len(missing)} accepted events are not stored: {missing[:5]}")
        if rows > len(keys):
            found.doubled.append(f"{trigger}: {rows} events are stored, {len(keys)} were accepted")


def _chain(found: Account, trigger: str, events: int, *counts: int) -> None:
    for name, count in zip(("decided", "enforcements", "executions", "ended"), counts, strict=True):
        if count < events:
            found.lost.append(f"{trigger}: of {events} events {count} {name}")
        if count > events:
            found.doubled.append(f"{trigger}: of {events} events {count} {name}")


def _ends(found: Account) -> None:
    for trigger, counted in found.statuses.items():
        unlawful = set(counted) - ENDS.get(trigger, {"completed", "abandoned", "failed"})
        if unlawful:
            found.wrong.append(f"{trigger}: executions ended { ({one: counted[one] for one in unlawful}) }")


def _strays(spine: Spine, found: Account) -> None:
    """There is no execution that no enforcement leads to."""
    for execution, trigger in spine.sql(STRAYS):
        found.doubled.append(f"execution {execution} of {trigger} belongs to no enforcement")


def _once(spine: Spine, found: Account, marks: Path) -> None:
    for row in spine.sql(BEYOND):
        found.wrong.append(f"execution {row[0]} of {row[1]} had {row[2]} attempts")
    for execution, old, new, at in spine.sql(
        "SELECT execution_id, old_status, new_status, at FROM attune.chaos_overwritten"
    ):
        found.doubled.append(f"execution {execution} ended {old}, and at {at} it was made {new}")
    starts: Counter[str] = Counter(marks.read_text().splitlines() if marks.exists() else [])
    found.doubled += [f"started {count} times: {line}" for line, count in starts.items() if count > 1]


def as_json(found: Account) -> dict[str, Any]:
    return {**vars(found), "right": found.right}
