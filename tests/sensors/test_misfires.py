"""Misfires: what becomes of the slots that nobody was there to fire."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sensors.misfires import Fire, Plan, TimerState, plan
from sensors.schedules import MisfirePolicy, parse
from tests.work import at_most

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
YEAR = timedelta(days=365)


def seconds(number: float) -> datetime:
    return NOON + timedelta(seconds=number)


def interval_plan(now: float, *, every: int = 60, first: float | None = None, **params: Any) -> Plan:
    """Plan a timer activated at noon, `now` seconds later."""
    schedule = parse("core.intervaltimer", {"interval": every, **params})
    return plan(schedule, TimerState(NOON, seconds(first or every)), seconds(now))


def slots(decided: Plan) -> tuple[list[datetime], list[datetime]]:
    return [fire.slot for fire in decided.fires], [skip.slot for skip in decided.skipped]


def test_nothing_is_due_before_its_time() -> None:
    assert interval_plan(59) == Plan((), (), seconds(60))


def test_a_timer_without_a_next_slot_waits_for_ever() -> None:
    schedule = parse("core.intervaltimer", {"interval": 1})

    assert plan(schedule, TimerState(NOON, None), seconds(10)) == Plan((), (), None)


def test_a_slot_within_five_seconds_is_in_time() -> None:
    assert interval_plan(65) == Plan((Fire(seconds(60), False),), (), seconds(120))


def test_a_slot_later_than_that_is_a_misfire() -> None:
    assert interval_plan(65.1) == Plan((Fire(seconds(60), True),), (), seconds(120))


def test_each_slot_of_the_last_five_seconds_fires() -> None:
    decided = interval_plan(8.5, every=1, first=4)

    assert slots(decided) == ([seconds(n) for n in (4, 5, 6, 7, 8)], [])


def test_fire_once_fires_the_newest_missed_slot() -> None:
    decided = interval_plan(200)

    assert slots(decided) == ([seconds(180)], [seconds(60), seconds(120)])
    assert decided.fires[0].misfire
    assert {skip.reason for skip in decided.skipped} == {"a newer missed slot fired instead"}


def test_fire_once_fires_nothing_past_the_grace() -> None:
    decided = interval_plan(3600 + 301, every=3600)

    assert slots(decided) == ([], [seconds(3600)])
    assert decided.skipped[0].reason == "missed for longer than misfire_grace_seconds"


def test_fire_once_fires_the_missed_slot_beside_one_in_time() -> None:
    decided = interval_plan(181)

    assert decided.fires == (Fire(seconds(120), True), Fire(seconds(180), False))


def test_skip_drops_what_was_missed() -> None:
    decided = interval_plan(181, misfire_policy="skip")

    assert slots(decided) == ([seconds(180)], [seconds(60), seconds(120)])


def test_catch_up_fires_the_oldest_slots_first() -> None:
    decided = interval_plan(290, misfire_policy="catch_up", max_catch_up=2)

    assert slots(decided) == ([seconds(60), seconds(120)], [seconds(180), seconds(240)])
    assert decided.skipped[0].reason == "beyond max_catch_up"


def test_catch_up_knows_no_grace() -> None:
    decided = interval_plan(2 * 3600 + 600, every=3600, misfire_policy="catch_up")

    assert slots(decided) == ([seconds(3600), seconds(7200)], [])


def test_a_date_just_gone_by_fires_whatever_the_policy() -> None:
    schedule = parse("core.datetimetimer", {"fire_at": "2026-05-04T12:00:00Z", "misfire_policy": "skip"})
    activation = seconds(200)

    decided = plan(schedule, TimerState(activation, schedule.first(activation)), seconds(201))

    assert decided == Plan((Fire(NOON, True),), (), None)


def test_a_year_of_missed_seconds_is_planned_at_once() -> None:
    with at_most(calls=5_000):
        decided = interval_plan(YEAR.total_seconds(), every=1)

    assert len(decided.skipped) == 101
    assert decided.skipped[-1].reason == (
        "a newer missed slot fired instead;"
        " stands for every slot from 2026-05-04T12:01:41.000000Z up to this one"
    )
    assert decided.next_fire_at == NOON + YEAR + timedelta(seconds=1)


def test_a_year_of_missed_cron_seconds_is_planned_at_once() -> None:
    schedule = parse("core.crontimer", {"expression": "* * * * * *", "timezone": "Europe/Berlin"})

    with at_most(calls=50_000):
        decided = plan(schedule, TimerState(NOON, NOON), NOON + YEAR)

    assert decided.fires[0] == Fire(NOON + YEAR - timedelta(seconds=6), True)


@settings(deadline=None)
@given(
    st.sampled_from(list(MisfirePolicy)),
    st.integers(1, 30),
    st.floats(0, 400),
    st.floats(0, 400),
    st.integers(1, 5),
)
def test_every_slot_is_decided_once(
    policy: MisfirePolicy, every: int, early: float, late: float, most: int
) -> None:
    """Two looks, at whatever times, fire or drop each slot of a timer exactly once."""
    schedule = parse(
        "core.intervaltimer", {"interval": every, "misfire_policy": policy, "max_catch_up": most}
    )
    now = seconds(early + late)

    first = plan(schedule, TimerState(NOON, schedule.first(NOON)), seconds(early))
    second = plan(schedule, TimerState(NOON, first.next_fire_at), now)

    decided = sorted(slot for look in (first, second) for part in slots(look) for slot in part)
    everything = schedule.slots_between(NOON, now, NOON, 1000)
    stood_for = {skip.slot for look in (first, second) for skip in look.skipped[100:]}
    assert len(decided) == len(set(decided))
    assert set(decided) <= set(everything)
    assert set(decided) == set(everything) or stood_for
