"""Every fault point: what is killed, frozen or failed there loses nothing and does nothing twice.

The short form kills along the main path; ATTUNE_TEST_LONG=1 has each action at each point in each service.
"""

import os
from collections.abc import Iterator

import pytest

from tests.integration.rehearsal import (
    ACTIONS,
    LEASE,
    TRIGGERS,
    Rehearsal,
    every_one,
    on_the_main_path,
    repeated,
)
from tests.integration.servers import free_port, fresh_database, fresh_vhost
from tests.integration.spine import Spine, quicken_canary, until

LONG = os.environ.get("ATTUNE_TEST_LONG") == "1"
SECONDS = 3600 if LONG else 900
pytestmark = [
    pytest.mark.rabbitmq,
    pytest.mark.postgres,
    pytest.mark.aside,
    pytest.mark.timeout(SECONDS + 900),
]
FAULTS = {action: every_one(action) for action in ACTIONS} if LONG else {"main path": on_the_main_path()}
LAWFUL = {
    "rh.instant": {"completed"},
    "rh.marked": {"completed", "abandoned", "failed"},  # failed: its guard was not to be had
    "rh.again": {"failed", "abandoned"},
}


@pytest.fixture(params=FAULTS)
def rehearsal(request: pytest.FixtureRequest, tmp_path: object) -> Iterator[tuple[Spine, Rehearsal]]:
    """An Attune that has met with all of the faults, and whose services have been restarted whole."""
    with fresh_database() as database, fresh_vhost() as broker:
        spine = Spine(database, broker, tmp_path, free_port(), **LEASE)  # type: ignore[arg-type]
        spine.prepare()
        quicken_canary(spine)
        one = Rehearsal(spine, FAULTS[request.param])
        one.prepare()
        try:
            one.start()
            yield spine, one
        finally:
            spine.drop()


def test_nothing_is_lost_and_nothing_is_done_twice(rehearsal: tuple[Spine, Rehearsal]):
    spine, faults = rehearsal

    assert faults.run(SECONDS), f"these never happened: {sorted(faults.owed)}"
    assert faults.finish_sending()

    assert until(lambda: faults.look_after() or ended(spine), 240, step=1)  # type: ignore[func-returns-value]
    stored = dict(spine.sql("SELECT trigger_ref, count(*) FROM event GROUP BY 1"))  # type: ignore[arg-type]
    assert {trigger: stored.get(trigger) for trigger in TRIGGERS} == dict(faults.accepted)
    for trigger in TRIGGERS:
        statuses = spine.statuses(trigger)
        assert sum(statuses.values()) == faults.accepted[trigger]
        assert set(statuses) <= LAWFUL[trigger], statuses
    assert list(repeated(spine)) == []
    assert until(lambda: spine.invariants() == "", 180, step=5), spine.invariants()


def ended(spine: Spine) -> bool:
    """Tell whether all that was sent has come to its end."""
    return all(spine.unfinished(trigger) == 0 for trigger in TRIGGERS)
