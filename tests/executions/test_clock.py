"""The executor's clock: an outage of the database is not taken for lost workers."""

from types import SimpleNamespace

import pytest

from executions import clock

pytestmark = pytest.mark.django_db


@pytest.fixture
def at(monkeypatch):
    """Set the time of day of this process, with a new watch."""
    now = SimpleNamespace(value=100.0)
    monkeypatch.setattr(clock, "time", SimpleNamespace(monotonic=lambda: now.value))
    monkeypatch.setattr(clock, "_watch", clock.Watch())

    def move(seconds):
        now.value = seconds

    return move


@pytest.fixture
def calls(monkeypatch):
    """Note which steps were taken."""
    made = []
    for name in ("expire", "fail_unplaceable"):
        monkeypatch.setattr(clock.lifecycle, name, lambda limit, name=name: made.append(name) or 0)
    return made


def look(at, start, end):
    for second in range(start, end + 1):
        at(second)
        clock.expire_leases()
        clock.fail_unplaceable()


def test_workers_get_a_moment_to_renew_after_a_start(at, calls):
    look(at, 100, 104)
    assert calls == []

    look(at, 105, 105)
    assert calls == ["expire"]


def test_a_gap_starts_the_watch_anew(at, calls):
    look(at, 100, 110)
    calls.clear()

    look(at, 150, 154)

    assert calls == []


def test_nothing_fails_for_want_of_a_worker_before_this_process_has_waited_as_long(at, calls, settings):
    settings.ATTUNE_NO_WORKER_SECONDS = 300
    look(at, 100, 399)
    assert "fail_unplaceable" not in calls

    look(at, 400, 400)

    assert "fail_unplaceable" in calls
