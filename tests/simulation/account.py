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
    WHERE n.event_id = e.id AND x.settled_at IS NULL)
"""
_CHAINS = """
SELECT e.id, n.rule_ref, n.status, x.id, x.status, x.result ->> 'by'
FROM event e LEFT JOIN enforcement n ON n.event_id = e.id LEFT JOIN execution x ON x.id = n.execution_id
WHERE e.trigger_ref LIKE 'sim.%%'
"""


def owed() -> list[tuple]:
    """Return all that somebody must still do something about."""
    return sql(_OWED)


def events_over() -> set[int]:
    """Return the events of which nothing is outstanding."""
    return {row[0] for row in sql(_OVER)}


def settle_up(
    accepted: Mapping[int, NewEvent], results: Sequence[tuple[int, str]], over: Collection[int]
) -> None:
    """Check that each accepted event is there, has what its rules make of it, once, and one result each.

    `results` are (execution, token) of every end that a worker was told was taken; `over` the events that
    retention may have deleted.
    """
    chains = sql(_CHAINS.replace("%%", "%"))
    present = {row[0] for row in chains}
    assert set(accepted) - present <= set(over), f"lost: {set(accepted) - present - set(over)}"
    made = Counter((row[0], row[1]) for row in chains if row[1] is not None)
    for event_id in present & set(accepted):
        expected = {rule for rule in _rules_of(accepted[event_id])}
        have = {rule for (of, rule) in made if of == event_id}
        assert have == expected, (event_id, accepted[event_id], have)
    assert all(count == 1 for count in made.values()), made
    taken = set(results)
    assert len(taken) == len(results), f"taken twice: {results}"
    for event_id, rule_ref, status, execution_id, ended, by in chains:
        if rule_ref is None:
            continue
        assert status == "processed", (event_id, rule_ref, status)
        assert ended in ENDED, (execution_id, ended)
        if by is not None and ended == "completed" and results:
            tokens = [token for of, token in results if of == execution_id]
            assert by in tokens or not tokens, f"execution {execution_id} has a result that wasn't taken"


def _rules_of(event: NewEvent) -> list[str]:
    return [
        f"sim.{action[4:]}_follows" for action, least in FOLLOWS[event.trigger_ref] if event.payload["n"] >= least
    ]
