"""What all streams share: the last state of each execution, told once."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from executions.streams import changes
from executions.streams import hub as hubs
from executions.streams.changes import Change
from executions.streams.hub import REMEMBERED, Hub, Subscription
from executions.waking import CHANNEL

NOW = datetime(2026, 1, 2, tzinfo=UTC)
CHANGE = Change(1, "scheduled", "demo.one", None, None, None, NOW, NOW)


def later(change, seconds, status):
    return replace(change, updated=change.updated + timedelta(seconds=seconds), status=status)


def taken(subscription):
    return asyncio.run(subscription.wait(0))


def test_of_each_execution_only_its_last_state_is_kept():
    subscription = Subscription(lambda change: True)
    done = later(CHANGE, 1, "completed")

    subscription.tell([CHANGE, replace(CHANGE, id=2), done])

    assert [(change.id, change.status) for change in taken(subscription)] == [
        (2, "scheduled"),
        (1, "completed"),
    ]
    assert taken(subscription) == []


def test_that_it_is_new_is_not_forgotten_with_the_state_that_passed():
    subscription = Subscription(lambda change: True)

    subscription.tell([replace(CHANGE, created_now=True)])
    subscription.tell([later(CHANGE, 1, "running")])

    (change,) = taken(subscription)
    assert (change.status, change.created_now) == ("running", True)


def test_what_does_not_fit_wakes_nobody():
    subscription = Subscription(lambda change: change.id == 5)

    subscription.tell([CHANGE])

    assert not subscription._news.is_set()


@pytest.fixture
def hub():
    return Hub()


def test_the_same_state_is_told_once(hub):
    assert hub._compared(CHANGE) is not None
    assert hub._compared(CHANGE) is None


def test_the_state_before_is_told_where_it_is_known(hub):
    hub._compared(CHANGE)

    assert hub._compared(later(CHANGE, 1, "running")).old_status == "scheduled"


def test_an_execution_that_nobody_looked_at_for_long_is_not_taken_for_a_new_one(hub):
    old = replace(CHANGE, created=datetime.now(UTC) - timedelta(days=1))
    young = replace(CHANGE, id=2, created=datetime.now(UTC))

    assert not hub._compared(old).created_now
    assert hub._compared(young).created_now


def test_what_was_told_long_ago_is_forgotten(hub):
    for n in range(10):
        hub._compared(replace(later(CHANGE, n * REMEMBERED / 2, "running"), id=n))

    hub._forget()

    assert sorted(hub._told) == [8, 9]


def test_what_changed_while_the_database_was_away_is_told_once_it_is_back(monkeypatch):
    """However long that was: the first look covers it all, and a hint is not forgotten."""
    monkeypatch.setattr(hubs, "POLL", 0.01)
    asked = []

    def touched(statement, seconds):
        asked.append(seconds)
        if len(asked) < 20:
            raise OSError("away")
        return []

    def present(ids):
        return [replace(CHANGE, id=row_id) for row_id in ids]

    monkeypatch.setattr(changes, "touched", touched)
    monkeypatch.setattr(changes, "present", present)

    async def watch():
        hub = Hub()
        hub.listener.run = forever
        subscription = hub.subscribe(lambda change: True)
        hub._heard(CHANNEL, [7])
        told = await subscription.wait(60)
        hub.leave(subscription)
        return told

    assert [change.id for change in asyncio.run(watch())] == [7]
    assert asked[:20] == sorted(asked[:20])


def test_a_hint_is_kept_when_it_cannot_be_followed(hub, monkeypatch):
    def away(ids):
        raise OSError("away")

    monkeypatch.setattr(changes, "present", away)
    hub._named = {7: None}

    with pytest.raises(OSError, match="away"):
        asyncio.run(hub._tell_named())

    assert hub._named == {7: None}


async def forever():
    await asyncio.Event().wait()
