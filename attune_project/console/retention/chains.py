"""Chains of history: found from their first row, judged as a whole, deleted as a whole."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection

# Each page is read by the primary key, which grows with `created`: old rows are at its beginning, whether
# or not they may go. Of a page: ids, and whether the row is old, and whether it may be the first of a chain.
EVENTS = """
SELECT id, created < %(end)s, status = 'decided' FROM event WHERE id > %(after)s ORDER BY id LIMIT %(limit)s
"""
ENFORCEMENTS = """
SELECT n.id, n.created < %(end)s, NOT EXISTS (SELECT FROM event e WHERE e.id = n.event_id)
FROM (SELECT id, created, event_id FROM enforcement WHERE id > %(after)s ORDER BY id LIMIT %(limit)s) n
ORDER BY n.id
"""
EXECUTIONS = """
SELECT x.id, x.created < %(end)s,
       NOT EXISTS (SELECT FROM execution p WHERE p.id = x.parent_id)
       AND NOT EXISTS (SELECT FROM enforcement n WHERE n.execution_id = x.id)
FROM (SELECT id, created, parent_id FROM execution WHERE id > %(after)s ORDER BY id LIMIT %(limit)s) x
ORDER BY x.id
"""
# Whoever decides an event anew has its row locked.
LOCK_EVENTS = """
SELECT id FROM event WHERE id = ANY(%s) AND status = 'decided' ORDER BY id FOR UPDATE SKIP LOCKED
"""
OF_EVENTS = """
SELECT event_id, id, execution_id, status <> 'created' FROM enforcement WHERE event_id = ANY(%s)
"""
OF_ENFORCEMENTS = """
SELECT id, id, execution_id, status <> 'created' FROM enforcement WHERE id = ANY(%s)
"""
STATES = "SELECT id FROM execution WHERE id = ANY(%s) AND NOT (settled_at IS NOT NULL AND finished_at < %s)"
CHILDREN = "SELECT parent_id, id FROM execution WHERE parent_id = ANY(%s)"
RERUNS = "SELECT original_execution_id, id FROM execution WHERE original_execution_id = ANY(%s)"

# What belongs to a row and has no life of its own.
OF_EXECUTION = ("attempt", "log_chunk", "progress")


@dataclass
class Chain:
    """The ids of one chain's rows."""

    events: list[int] = field(default_factory=list)
    enforcements: list[int] = field(default_factory=list)
    executions: list[int] = field(default_factory=list)
    over: bool = True  # whether nothing of it is owed, or needed, any more


@dataclass(frozen=True)
class Page:
    """A page of first rows: those that may start a chain, the last id, and whether older rows may follow."""

    roots: list[int]
    last: int
    more: bool


def page(statement: str, end: datetime, after: int, limit: int) -> Page:
    rows = _rows(statement, {"end": end, "after": after, "limit": limit})
    roots = [row_id for row_id, old, first in rows if old and first]
    return Page(roots, rows[-1][0] if rows else after, len(rows) == limit and rows[-1][1])


def from_events(roots: list[int], end: datetime) -> list[Chain]:
    """Lock these events and return their chains that may go. Call it in a transaction."""
    locked = [row[0] for row in _rows(LOCK_EVENTS, [roots])]
    chains = {row_id: Chain(events=[row_id]) for row_id in locked}
    return _judged(_with_enforcements(chains, OF_EVENTS), end)


def from_enforcements(roots: list[int], end: datetime) -> list[Chain]:
    return _judged(_with_enforcements({row_id: Chain() for row_id in roots}, OF_ENFORCEMENTS), end)


def from_executions(roots: list[int], end: datetime) -> list[Chain]:
    return _judged({row_id: Chain(executions=[row_id]) for row_id in roots}, end)


def _with_enforcements(chains: dict[int, Chain], statement: str) -> dict[int, Chain]:
    for root, row_id, execution_id, resolved in _rows(statement, [list(chains)]):
        chain = chains[root]
        chain.enforcements.append(row_id)
        chain.over = chain.over and resolved
        if execution_id is not None:
            chain.executions.append(execution_id)
    return chains


def _judged(chains: dict[int, Chain], end: datetime) -> list[Chain]:
    """Add what is below each chain's executions; return the chains that are over and that nothing needs."""
    owners = {row_id: chain for chain in chains.values() for row_id in chain.executions}
    _add_children(owners)
    for (row_id,) in _rows(STATES, [list(owners), end]):
        owners[row_id].over = False
    for original, row_id in _rows(RERUNS, [list(owners)]):
        if owners.get(row_id) is not owners[original]:
            owners[original].over = False
    return [chain for chain in chains.values() if chain.over]


def _add_children(owners: dict[int, Chain]) -> None:
    parents = list(owners)
    while parents:
        found = [pair for pair in _rows(CHILDREN, [parents]) if pair[1] not in owners]
        for parent, row_id in found:
            owners[row_id] = owners[parent]
            owners[parent].executions.append(row_id)
        parents = [row_id for _, row_id in found]


def delete(chains: Iterable[Chain]) -> Counter[str]:
    """Delete chains with all that belongs to them; return the rows by table. Call it in a transaction."""
    gone = list(chains)
    executions = [row_id for chain in gone for row_id in chain.executions]
    enforcements = [row_id for chain in gone for row_id in chain.enforcements]
    events = [row_id for chain in gone for row_id in chain.events]
    counts: Counter[str] = Counter()
    for table in OF_EXECUTION:
        counts[table] = remove(table, "execution_id", executions)
    counts["rule_evaluation"] = remove("rule_evaluation", "event_id", events)
    counts["execution"] = remove("execution", "id", executions)
    counts["enforcement"] = remove("enforcement", "id", enforcements)
    counts["event"] = remove("event", "id", events)
    return +counts


def remove(table: str, column: str, ids: Collection[int]) -> int:
    if not ids:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {table} WHERE {column} = ANY(%s)", [list(ids)])  # noqa: S608 (our own)
        return int(cursor.rowcount)


def _rows(statement: str, parameters: Any) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())
