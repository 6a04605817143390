"""The account of a run: every event that was accepted, and what came of it."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from sensors.recording import NewEvent
from tests.simulation.world import FOLLOWS, sql

ENDED = ("completed", "failed", "cancelled", "timeout", "abandoned")
_OWED = """
SELECT 'event', id, status FROM event WHERE status = 'new'
UNION ALL SELECT 'enforcement', id, status FROM enforcement WHERE status = 'created'
UNION ALL SELECT 'execution', id, status FROM execution WHERE settled_at IS NULL
"""
_OVER = """
SELECT e.id FROM event e WHERE e.status = 'decided' AND NOT EXISTS (
    SELECT 1 FROM enforcement n LEFT JOIN execution x ON x.id = n.execution_id
    WHERE n.event_id = e.id AND x.finished_at IS NULL)
"""
_CHAINS = """
SELECT e.id, n.rule_ref, n.status, x.id, x.status
FROM event e LEFT JOIN enforcement n ON n.event_id = e.id LEFT JOIN execution x ON x.id = n.execution_id
WHERE e.trigger_ref LIKE 'sim.%'
"""
Taken = tuple[int, int, str]  # execution, number of the attempt, how it ended


def owed() -> list[tuple]:
    """Return all that somebody must still do something about."""
    return sql(_OWED)


def events_over() -> set[int]:
    """Return the events of which nothing is outstanding but the settling of an end."""
    return {row[0] for row in sql(_OVER)}


def settle_up(accepted: Mapping[int, NewEvent], taken: Sequence[Taken], over: Collection[int]) -> None:
    """Check that each accepted event is there, and that its rules made of it what they should, once.

    `taken` is every end that a worker was told was taken; `over` are the events that retention may have
    deleted.
    """
    chains = sql(_CHAINS)
    present = {row[0] for row in chains}
    lost = set(accepted) - present - set(over)
    assert not lost, f"lost: {lost}"
    made = Counter((row[0], row[1]) for row in chains if row[1] is not None)
    wanted = Counter(
        (event, rule) for event in present & set(accepted) for rule in _rules_of(accepted[event])
    )
    assert {pair: made[pair] for pair in wanted} == wanted
    assert set(made.values()) <= {1}, made
    for _, rule_ref, status, execution_id, ended in chains:
        assert rule_ref is None or (status == "processed" and ended in ENDED), (execution_id, status, ended)
    _settle_attempts(taken)


def _settle_attempts(taken: Sequence[Taken]) -> None:
    """Check that each end that was taken is the one end of the attempt that it was worked out in."""
    stored = {row[:2]: row[2] for row in sql("SELECT execution_id, number, status FROM attempt")}
    assert len({one[:2] for one in taken}) == len(taken), f"taken twice: {taken}"
    for execution_id, number, status in taken:
        end = stored.get((execution_id, number), status)  # deleted with its history
        assert end == status, f"attempt {number} of {execution_id} ended {end}, and {status} was taken, too"


def _rules_of(event: NewEvent) -> list[str]:
    follows = FOLLOWS[event.trigger_ref]
    return [f"sim.{action[4:]}_follows" for action, least in follows if event.payload["n"] >= least]
