"""Counters: kept in the process, added to the database every few seconds."""

import threading
from collections import Counter

from attune_project.messaging.ticker import every
from attune_project.statements import rows_of

PUBLISHED = "published"  # label: message type; outcome: ok, unroutable, failed
CONSUMED = "consumed"  # label: queue; outcome: ok, error, misrouted, probe
MATCHED = "matched"  # label: ref of a trigger; outcome: one of these
EVENTS, RULES, NANOSECONDS = "events", "rules", "nanoseconds"  # decided, asked, of processor time

_counter: Counter[tuple[str, str, str]] = Counter()
_lock = threading.Lock()


def add(name: str, label: str, outcome: str, amount: int = 1) -> None:
    with _lock:
        _counter[name, label, outcome] += amount


@every(2, thread="probes")
def flush() -> int:
    """Add what was counted since the last flush to `message_count`; return the number of counters."""
    with _lock:
        taken = [(*key, amount) for key, amount in _counter.items() if amount]
        _counter.clear()
    if not taken:
        return 0
    try:
        _store(sorted(taken))
    except Exception:
        with _lock:
            _counter.update({(name, label, outcome): amount for name, label, outcome, amount in taken})
        raise
    return len(taken)


def _store(rows: list[tuple[str, str, str, int]]) -> None:
    rows_of(
        """
        INSERT INTO message_count (name, label, outcome, total)
        SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::bigint[])
        ON CONFLICT ON CONSTRAINT message_count_name_label_outcome_key
        DO UPDATE SET total = message_count.total + excluded.total, updated = now()
        """,
        [list(column) for column in zip(*rows, strict=True)],
    )
