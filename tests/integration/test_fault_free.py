"""Without a fault nothing needs a poll, nothing is red and nobody is alarmed, busy or not."""

import pytest

from tests.integration.load import RATES, Load, all_settled
from tests.integration.spine import SLOW_POLLS, Spine, until

pytestmark = [pytest.mark.rabbitmq, pytest.mark.postgres]
SETTINGS = SLOW_POLLS


@pytest.fixture
def well(running: Spine) -> Spine:
    """Every service runs and health says so, as it does some seconds after the start."""
    assert until(lambda: running.health()["status"] == "ok", 180, step=1), running.red()
    return running


def completed(spine: Spine) -> dict[str, int]:
    """Return the number of completed executions by trigger; nothing may end otherwise."""
    found = {trigger: spine.statuses(trigger) for trigger in RATES}
    assert all(set(statuses) <= {"completed"} for statuses in found.values()), found
    return {trigger: statuses.get("completed", 0) for trigger, statuses in found.items()}


def red_until(spine: Spine, condition) -> dict[str, str]:
    """Wait for a condition; return every check that was red meanwhile."""
    seen: dict[str, str] = {}
    assert until(lambda: seen.update(spine.red()) or condition(), 240, step=1)
    return seen


def assert_nothing_was_repaired(spine: Spine) -> None:
    assert dict(spine.sql("SELECT name, repairs FROM step WHERE repairs > 0")) == {}
    assert spine.alerts() == []
    assert spine.invariants() == ""


def test_a_steady_load_is_done_by_messages_alone(well: Spine):
    before = completed(well)
    load = Load(well, 10)

    seen = red_until(well, lambda: not load.goes_on())

    accepted = load.accepted()
    assert all_settled(well)
    assert completed(well) == {trigger: before[trigger] + count for trigger, count in accepted.items()}
    assert seen == {}
    assert_nothing_was_repaired(well)


def test_a_burst_behind_busy_slots_is_late_but_not_broken(well: Spine):
    before = completed(well)
    busy = well.feed(50, trigger="it.sleepy", batch=50)
    burst = well.feed(5000, batch=500)
    assert busy.communicate(timeout=240)[0].strip() == b"50"
    assert burst.communicate(timeout=240)[0].strip() == b"5000"

    seen = red_until(well, lambda: all_settled(well, timeout=1))

    assert completed(well) == {
        **before,
        "it.ping": before["it.ping"] + 5000,
        "it.sleepy": before["it.sleepy"] + 50,
    }
    assert seen == {}
    assert_nothing_was_repaired(well)
