"""Sweeps: all that is old enough goes, batch by batch.

Each batch is one transaction under an advisory lock: of several executors and a `manage.py retention`, one
deletes at a time, and one that is killed leaves nothing half done. Where a sweep has come to is kept by
nobody: the next one begins at the oldest rows again.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.db import connection, transaction

from attune_project.console.retention import chains, limits
from attune_project.console.retention.alone import TABLES, Alone
from attune_project.console.retention.chains import Chain, Page
from attune_project.faults import fault
from attune_project.messaging.ticker import every

log = structlog.get_logger(__name__)
BATCH = 500
MOST_PAUSE = 5.0  # seconds
_LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended('attune.retention', 0))"
_COUNT = """
INSERT INTO retention_count (name, deleted) SELECT * FROM unnest(%s::text[], %s::bigint[])
ON CONFLICT ON CONSTRAINT retention_count_name_key
DO UPDATE SET deleted = retention_count.deleted + excluded.deleted, updated = now()
"""


class Busy(Exception):
    """Another process deletes right now."""


@dataclass(frozen=True)
class Batch:
    """What went (or would go) with one batch: rows by table, the last id looked at, whether there is more."""

    counts: Counter[str]
    last: int
    more: bool


@dataclass(frozen=True)
class Part:
    """One table, read from its oldest row on: `take` returns the counts of what goes with a page's roots."""

    kind: str
    page: str
    take: Callable[[list[int], datetime, bool], Counter[str]]


def _chains_from(find: Callable[[list[int], datetime], list[Chain]]) -> Callable[..., Counter[str]]:
    def take(roots: list[int], end: datetime, dry: bool) -> Counter[str]:
        found = find(roots, end)
        return counted(found) if dry else chains.delete(found)

    return take


def _alone(one: Alone) -> Part:
    def take(roots: list[int], end: datetime, dry: bool) -> Counter[str]:
        return Counter({one.table: len(roots) if dry else chains.remove(one.table, "id", roots)})

    return Part(one.kind, one.page, take)


# A timer's slots go before its events, and what began with an event before what is left of it.
PARTS = (
    *(_alone(one) for one in TABLES),
    Part(limits.RUNTIME, chains.EVENTS, _chains_from(chains.from_events)),
    Part(limits.RUNTIME, chains.ENFORCEMENTS, _chains_from(chains.from_enforcements)),
    Part(limits.RUNTIME, chains.EXECUTIONS, _chains_from(chains.from_executions)),
)


def counted(found: list[Chain]) -> Counter[str]:
    return +Counter(
        event=sum(len(chain.events) for chain in found),
        enforcement=sum(len(chain.enforcements) for chain in found),
        execution=sum(len(chain.executions) for chain in found),
    )


def sweep(*, dry: bool = False, once: bool = False, pause: float = 1.0) -> Iterator[Counter[str]]:
    """Delete all that is old enough; yield the rows by table after each batch. Raises Busy.

    After a batch it rests for `pause` times as long as that took: the pipeline comes first. With `once`
    each part gets one batch; with `dry` nothing is deleted, only counted.
    """
    ends = limits.ends(limits.current())
    for part in PARTS:
        after, more = 0, True
        while more:
            began = time.monotonic()
            batch = _batch(part, ends[part.kind], after, dry)
            after, more = batch.last, batch.more and not once
            yield batch.counts
            if more:
                time.sleep(min((time.monotonic() - began) * pause, MOST_PAUSE))


def _batch(part: Part, end: datetime, after: int, dry: bool) -> Batch:
    with transaction.atomic():
        _lock()
        page: Page = chains.page(part.page, end, after, BATCH)
        counts = part.take(page.roots, end, dry) if page.roots else Counter[str]()
        if counts and not dry:
            _note(counts)
            fault("retention.before_commit")
    return Batch(counts, page.last, page.more)


def _lock() -> None:
    with connection.cursor() as cursor:
        cursor.execute(_LOCK)
        if not cursor.fetchone()[0]:
            raise Busy("retention is at work in another process")


def _note(counts: Counter[str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, [list(counts), list(counts.values())])


@every(60, services=("executor",), thread="history")
def delete_history() -> None:
    """Delete what is old enough, unless another process does or operators want all of it kept."""
    if not limits.current().enabled:
        return
    began, total = time.monotonic(), Counter[str]()
    try:
        for counts in sweep():
            total += counts
    except Busy:
        pass
    if total:
        log.info("history deleted", seconds=round(time.monotonic() - began, 1), deleted=dict(total))
