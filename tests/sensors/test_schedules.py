"""Schedules: what trigger_params mean, and which are refused with which words."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensors.schedules import ScheduleError, parse

SECOND = timedelta(seconds=1)
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)

INTERVAL = "core.intervaltimer"
CRON = "core.crontimer"
DATE = "core.datetimetimer"


def test_interval_slots_follow_the_activation() -> None:
    schedule = parse(INTERVAL, {"interval": 2, "unit": "hours"})

    slots = schedule.slots_between(NOON, NOON + timedelta(days=1), NOON, 3)

    assert slots == [NOON + timedelta(hours=n) for n in (2, 4, 6)]
    assert schedule.first(NOON) == slots[0]
    assert schedule.payload(slots[0], NOON) == {"interval_seconds": 7200}


def test_cron_slots_begin_with_the_activation() -> None:
    schedule = parse(CRON, {"expression": "0 0 12 * * *", "timezone": "Europe/Berlin"})
    before_noon = datetime(2026, 5, 4, 9, tzinfo=UTC)

    first = schedule.first(before_noon)

    assert first == datetime(2026, 5, 4, 10, tzinfo=UTC)
    assert schedule.first(first) == first
    assert schedule.next_after(NOON - timedelta(days=30), before_noon) == first
    assert schedule.payload(first, before_noon) == {
        "expression": "0 0 12 * * *",
        "next_fire_at": "2026-05-05T10:00:00.000000Z",
    }


@pytest.mark.parametrize(
    ("fire_at", "timezone", "expected"),
    [
        ("2026-05-04T12:00:00Z", None, NOON),
        ("2026-05-04T14:00:00+02:00", "America/New_York", NOON),
        ("2026-05-04T14:00:00", "Europe/Berlin", NOON),
        ("2026-05-04 12:00", None, NOON),
        ("2026-03-29T02:30:00", "Europe/Berlin", datetime(2026, 3, 29, 1, tzinfo=UTC)),
    ],
)
def test_a_date_is_one_slot(fire_at: str, timezone: str | None, expected: datetime) -> None:
    schedule = parse(DATE, {"fire_at": fire_at, "timezone": timezone})

    first = schedule.first(expected - timedelta(days=400))

    assert first == expected
    assert schedule.next_after(expected, expected) is None
    assert schedule.payload(expected, expected) == {"fire_at": expected.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}


@pytest.mark.parametrize(("age", "waits"), [(0, True), (299, True), (300, True), (301, False)])
def test_a_date_just_gone_by_is_still_a_slot(age: int, waits: bool) -> None:
    schedule = parse(DATE, {"fire_at": "2026-05-04T12:00:00Z"})

    first = schedule.first(NOON + timedelta(seconds=age))

    assert (first == NOON) is waits
    assert (first is None) is not waits


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({}, "interval is required"),
        ({"interval": None}, "interval is required"),
        ({"interval": 0}, "interval must be a whole number from 1 to 3153600000"),
        ({"interval": True}, "interval must be a whole number from 1 to 3153600000"),
        ({"interval": "10"}, "interval must be a whole number from 1 to 3153600000"),
        ({"interval": float("nan")}, "interval must be a whole number from 1 to 3153600000"),
        ({"interval": 10**400, "unit": "days"}, "interval must be a whole number from 1 to 36500"),
        ({"interval": 1.5}, "interval must be a whole number from 1 to 3153600000"),
        ({"interval": 1, "unit": "weeks"}, "unit must be one of seconds, minutes, hours, days"),
        ({"interval": 1, "unit": ["days"]}, "unit must be one of seconds, minutes, hours, days"),
        ({"interval": 1, "misfire_policy": "x"}, "misfire_policy must be one of skip, fire_once, catch_up"),
        ({"interval": 1, "max_catch_up": 0}, "max_catch_up must be a whole number from 1 to 1000"),
        (
            {"interval": 1, "misfire_grace_seconds": -1},
            "misfire_grace_seconds must be a whole number from 0 to 31536000",
        ),
        ([], "trigger_params must be an object"),
    ],
)
def test_a_bad_interval_is_named(params: Any, error: str) -> None:
    with pytest.raises(ScheduleError) as refused:
        parse(INTERVAL, params)

    assert str(refused.value) == error
    assert refused.value.field == error.split(maxsplit=1)[0]


@pytest.mark.parametrize(
    ("trigger", "params", "error"),
    [
        (CRON, {}, "expression is required"),
        (CRON, {"expression": 5}, "expression must be a text that isn't empty"),
        (CRON, {"expression": "* 25 * * *"}, "expression isn't a cron expression: Bad hour"),
        (
            CRON,
            {"expression": "* * * * *", "timezone": "Mars/X"},
            "timezone isn't the name of an IANA time zone: 'Mars/X'",
        ),
        (
            CRON,
            {"expression": "* * * * *", "timezone": []},
            "timezone isn't the name of an IANA time zone: []",
        ),
        (DATE, {}, "fire_at is required"),
        (DATE, {"fire_at": "tomorrow"}, "fire_at must be a date and time in ISO 8601"),
        (DATE, {"fire_at": "0001-01-01T00:00:00+10:00"}, "fire_at must be a date and time in ISO 8601"),
    ],
)
def test_a_bad_cron_or_date_is_named(trigger: str, params: dict[str, Any], error: str) -> None:
    with pytest.raises(ScheduleError) as refused:
        parse(trigger, params)

    assert str(refused.value) == error


def test_a_trigger_that_is_no_timer_has_no_schedule() -> None:
    with pytest.raises(KeyError):
        parse("core.alert", {})


TEXT = st.text("0123456789*/,-:+TZ. UTCskip", max_size=30)
JSON = st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.just([]) | st.just({})
NAMES = st.sampled_from(
    ["interval", "unit", "expression", "timezone", "fire_at", "misfire_policy", "max_catch_up"]
)


@given(st.sampled_from([INTERVAL, CRON, DATE]), st.dictionaries(NAMES, JSON))
def test_no_json_breaks_the_reader(trigger: str, params: dict[str, Any]) -> None:
    with suppress(ScheduleError):
        assert parse(trigger, params).misfires.max_catch_up >= 1


SCHEDULES = st.sampled_from(
    [
        parse(INTERVAL, {"interval": 1}),
        parse(INTERVAL, {"interval": 7}),
        parse(CRON, {"expression": "*/20 * * * * *"}),
        parse(CRON, {"expression": "* 1 12 * * *"}),
        parse(DATE, {"fire_at": "2026-05-04T12:00:30Z"}),
    ]
)


@settings(deadline=None)
@given(SCHEDULES, st.integers(-60, 60), st.integers(0, 240), st.integers(0, 999_999))
def test_the_newest_slot_is_the_last_of_all(schedule: Any, start: int, length: int, micros: int) -> None:
    activation = NOON - timedelta(seconds=90)
    after = NOON + timedelta(seconds=start)
    until = after + timedelta(seconds=length, microseconds=micros)

    newest = schedule.newest(after, until, activation)

    assert newest == max(schedule.slots_between(after, until, activation, 1000), default=None)
