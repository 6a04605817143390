"""Without a fault nothing needs a poll, nothing is red and nobody is alarmed, busy or not."""

import pytest

from tests.integration.load import Load, all_settled
from tests.integration.spine import Spine, until

pytestmark = [pytest.mark.rabbitmq, pytest.mark.postgres]


@pytest.fixture
def well(running: Spine) -> Spine:
    """Every service runs and health says so, as it does some seconds after the start."""
    assert until(lambda: running.health()["status"] == "ok", 60, step=1), running.red()
    return running


def red_until(spine: Spine, condition) -> dict[str, str]:
    """Wait for a condition; return every check that was red meanwhile."""
    seen: dict[str, str] = {}
    assert until(lambda: seen.update(spine.red()) or condition(), 90, step=1)
    return seen


def assert_nothing_was_repaired(spine: Spine) -> None:
    assert dict(spine.sql("SELECT name, repairs FROM step WHERE repairs > 0")) == {}
    assert spine.alerts() == []
    assert spine.invariants() == ""


def test_a_steady_load_is_done_by_messages_alone(well: Spine):
    load = Load(well, 20)

    seen = red_until(well, lambda: not load.goes_on())

    accepted = load.accepted()
    assert all_settled(well)
    assert {trigger: well.statuses(trigger) for trigger in accepted} == {
        trigger: {"completed": count} for trigger, count in accepted.items()
    }
    assert seen == {}
    assert_nothing_was_repaired(well)


def test_a_burst_behind_busy_slots_is_late_but_not_broken(well: Spine):
    before = well.statuses().get("completed", 0), well.statuses("it.sleepy").get("completed", 0)
    busy = well.feed(50, trigger="it.sleepy", batch=50)
    burst = well.feed(5000, batch=500)
    assert busy.communicate(timeout=60)[0].strip() == b"50"
    assert burst.communicate(timeout=60)[0].strip() == b"5000"

    seen = red_until(well, lambda: all_settled(well, timeout=1))

    assert well.statuses() == {"completed": before[0] + 5000}
    assert well.statuses("it.sleepy") == {"completed": before[1] + 50}
    assert seen == {}
    assert_nothing_was_repaired(well)
