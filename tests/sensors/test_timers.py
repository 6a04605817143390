"""Timers: armed with their rule, fired once a slot, in one transaction for many."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from attune_project.messaging.fake import FakePublisher
from attune_project.messaging.topology import EVENT_CREATED
from rules.models import Rule
from sensors import timers
from sensors.models import Event, SlotOutcome, Timer, TimerSlot, Trigger
from sensors.schedules import ScheduleError
from tests.sensors.conftest import NOON, MakeRule

pytestmark = pytest.mark.django_db

INTERVAL = "core.intervaltimer"
MINUTE = {"interval": 60}


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


@pytest.fixture
def armed(make_rule: MakeRule) -> Callable[..., Timer]:
    """Make rules whose timers were armed at noon."""

    def make(params: dict[str, Any] = MINUTE, trigger_ref: str = INTERVAL, now: datetime = NOON) -> Timer:
        rule = make_rule(trigger_ref, trigger_params=params)
        timers.arm(rule.pk, trigger_ref, params, now=now)
        return Timer.objects.get(rule=rule)

    return make


Armed = Callable[..., Timer]


def outcomes(timer: Timer) -> list[tuple[datetime, str]]:
    return list(timer.slots.order_by("scheduled_for").values_list("scheduled_for", "outcome"))


def test_arming_plans_the_first_slot(armed: Armed) -> None:
    timer = armed()

    assert (timer.activated_at, timer.next_fire_at) == (NOON, at(60))
    assert timer.enabled


def test_arming_again_leaves_a_running_timer_alone(armed: Armed) -> None:
    timer = armed()

    timers.arm(timer.rule_id, INTERVAL, MINUTE, now=at(30))

    timer.refresh_from_db()
    assert timer.activated_at == NOON


def test_other_params_plan_anew_and_keep_the_count(armed: Armed) -> None:
    timer = armed()
    timers.fire_due(at(60))

    timers.arm(timer.rule_id, INTERVAL, {"interval": 10}, now=at(61))

    timer.refresh_from_db()
    assert (timer.next_fire_at, timer.fire_count) == (at(71), 1)


def test_a_disarmed_timer_does_not_fire(armed: Armed) -> None:
    timer = armed()

    timers.disarm(timer.rule_id)

    assert timers.fire_due(at(60)) == 0
    timer.refresh_from_db()
    assert (timer.enabled, timer.next_fire_at) == (False, None)


def test_arming_a_disarmed_timer_starts_anew(armed: Armed) -> None:
    timer = armed()
    timers.fire_due(at(60))
    timers.disarm(timer.rule_id)

    timers.arm(timer.rule_id, INTERVAL, MINUTE, now=at(90))

    timer.refresh_from_db()
    assert (timer.activated_at, timer.next_fire_at, timer.fire_count) == (at(90), at(150), 0)


def test_a_trigger_that_is_no_timer_disarms(armed: Armed) -> None:
    timer = armed()

    timers.arm(timer.rule_id, "core.alert", {})

    timer.refresh_from_db()
    assert not timer.enabled


def test_bad_params_are_refused_and_change_nothing(armed: Armed) -> None:
    timer = armed()

    with pytest.raises(ScheduleError, match="interval is required"):
        timers.arm(timer.rule_id, INTERVAL, {})

    timer.refresh_from_db()
    assert timer.params == MINUTE


def test_a_disabled_trigger_stops_and_starts_its_timers(armed: Armed) -> None:
    timer, other = armed(), armed({"expression": "1 12 * * *"}, "core.crontimer")
    Trigger.objects.filter(ref=INTERVAL).update(enabled=False)

    timers.disarm_trigger(INTERVAL)
    stopped = [row.enabled for row in Timer.objects.order_by("id")]
    timers.arm(timer.rule_id, INTERVAL, {"interval": 7})
    fired = timers.fire_due(at(60))
    Trigger.objects.filter(ref=INTERVAL).update(enabled=True)
    timers.arm_trigger(INTERVAL)

    timer.refresh_from_db()
    assert (stopped, fired) == ([False, True], 1)
    assert outcomes(other) == [(at(60), SlotOutcome.FIRED)]
    assert (timer.enabled, timer.params) == (True, {"interval": 7})


def test_a_disabled_rule_stays_stopped_when_its_trigger_starts(armed: Armed) -> None:
    timer = armed()
    timers.disarm(timer.rule_id)
    Rule.objects.update(enabled=False)

    timers.arm_trigger(INTERVAL)

    timer.refresh_from_db()
    assert not timer.enabled


def test_a_slot_becomes_one_event_of_its_rule(armed: Armed) -> None:
    timer = armed()

    assert timers.fire_due(at(61)) == 1

    event = Event.objects.get()
    assert (event.trigger_ref, event.source_ref) == (INTERVAL, "core.timer_sensor")
    assert (event.rule_id, event.rule_ref) == (timer.rule_id, "core.rule0")
    assert event.dedup_key == f"timer:{timer.pk}:2026-05-04T12:01:00.000000Z"
    assert event.payload == {
        "type": "interval",
        "scheduled_at": "2026-05-04T12:01:00.000000Z",
        "fired_at": "2026-05-04T12:01:01.000000Z",
        "execution_count": 1,
        "misfire": False,
        "timezone": "UTC",
        "interval_seconds": 60,
    }


def test_firing_moves_the_timer_on(armed: Armed) -> None:
    timer = armed()

    timers.fire_due(at(61))

    timer.refresh_from_db()
    assert (timer.next_fire_at, timer.last_fire_at, timer.fire_count) == (at(120), at(61), 1)
    assert timers.fire_due(at(61)) == 0
    slot = TimerSlot.objects.get()
    assert (slot.scheduled_for, slot.outcome, slot.event) == (at(60), SlotOutcome.FIRED, Event.objects.get())


def test_an_event_is_rung_after_commit(
    armed: Armed, rung: FakePublisher, django_capture_on_commit_callbacks: Any
) -> None:
    armed()

    with django_capture_on_commit_callbacks(execute=True):
        timers.fire_due(at(60))

    assert rung.rung(EVENT_CREATED) == [Event.objects.get().pk]


def test_missed_slots_say_what_became_of_them(armed: Armed) -> None:
    timer = armed()

    timers.fire_due(at(180))

    assert outcomes(timer) == [
        (at(60), SlotOutcome.SKIPPED),
        (at(120), SlotOutcome.LATE),
        (at(180), SlotOutcome.FIRED),
    ]
    assert timer.slots.get(scheduled_for=at(60)).reason == "a newer missed slot fired instead"
    assert [event.payload["misfire"] for event in Event.objects.order_by("id")] == [True, False]
    assert [event.payload["execution_count"] for event in Event.objects.order_by("id")] == [1, 2]


def test_a_date_fires_once_however_often_it_is_armed(armed: Armed) -> None:
    params = {"fire_at": "2026-05-04T12:00:00Z"}
    timer = armed(params, "core.datetimetimer")

    for seconds in (0, 10, 20):
        timers.fire_due(at(seconds))
        timers.disarm(timer.rule_id)
        timers.arm(timer.rule_id, "core.datetimetimer", params, now=at(seconds + 1))

    assert Event.objects.get().payload["fire_at"] == "2026-05-04T12:00:00.000000Z"
    assert outcomes(timer) == [(NOON, SlotOutcome.FIRED)]


def test_a_cron_event_names_the_slot_after_it(armed: Armed) -> None:
    armed({"expression": "30 12 * * *", "timezone": "Asia/Kolkata"}, "core.crontimer")

    timers.fire_due(datetime.fromisoformat("2026-05-05T07:00:00Z"))

    payload = Event.objects.get().payload
    assert payload["scheduled_at"] == "2026-05-05T07:00:00.000000Z"
    assert payload["next_fire_at"] == "2026-05-06T07:00:00.000000Z"
    assert (payload["type"], payload["timezone"]) == ("cron", "Asia/Kolkata")


def test_the_oldest_timers_come_first_up_to_the_limit(armed: Armed) -> None:
    late, early = armed({"interval": 20}), armed({"interval": 10})

    assert timers.fire_due(at(20), limit=1) == 1

    assert (late.slots.count(), early.slots.count()) == (0, 2)


def test_a_timer_whose_params_went_bad_stops_alone_and_says_so(armed: Armed) -> None:
    bad, good = armed(), armed()
    Timer.objects.filter(pk=bad.pk).update(params={"interval": "x"})
    Trigger.objects.create(ref="core.alert", label="Alert")

    timers.fire_due(at(60))

    bad.refresh_from_db()
    assert not bad.enabled
    assert outcomes(good) == [(at(60), SlotOutcome.FIRED)]
    assert Event.objects.get(trigger_ref="core.alert").payload["summary"] == (
        "The timer of rule core.rule0 was stopped: interval must be a whole number from 1 to 3153600000"
    )


@pytest.mark.parametrize("params", [[], [1], "x", 7, {"unit": "seconds"}, {"interval": None}])
def test_params_of_any_shape_stop_no_other_timer(armed: Armed, params: Any) -> None:
    bad, good = armed(), armed()
    Timer.objects.filter(pk=bad.pk).update(params=params)

    timers.fire_due(at(60))

    bad.refresh_from_db()
    assert not bad.enabled
    assert outcomes(good) == [(at(60), SlotOutcome.FIRED)]


def test_a_refused_event_leaves_its_reason_in_the_slot(armed: Armed) -> None:
    timer = armed()
    Rule.objects.update(enabled=False)

    timers.fire_due(at(60))

    slot = timer.slots.get()
    assert (slot.outcome, slot.event_id) == (SlotOutcome.SKIPPED, None)
    assert slot.reason == "refused: Rule core.rule0 is disabled"


def test_one_transaction_records_a_bounded_number(armed: Armed, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = armed({"interval": 1}), armed({"interval": 1})
    monkeypatch.setattr(timers, "MOST_FIRES", 3)

    timers.fire_due(at(4))
    at_first = (first.slots.count(), second.slots.count())
    timers.fire_due(at(4))

    assert (sorted(at_first), second.slots.count(), first.slots.count()) == ([0, 4], 4, 4)


def queries_to_fire(count: int, armed: Armed) -> int:
    for _ in range(count):
        armed()
    with CaptureQueriesContext(connection) as captured:
        assert timers.fire_due(at(60)) == count
    return len(captured)


def test_firing_many_takes_no_more_queries_than_firing_two(armed: Armed) -> None:
    two = queries_to_fire(2, armed)
    TimerSlot.objects.all().delete()
    Timer.objects.all().delete()

    assert queries_to_fire(30, armed) == two
    assert Event.objects.count() == 32


def test_the_claim_uses_its_index(armed: Armed) -> None:
    armed()

    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {timers.CLAIM}", {"now": None, "limit": 100})
        found = "\n".join(row[0] for row in cursor.fetchall())

    assert "timer_due_idx" in found


def test_the_time_to_the_next_timer_is_the_databases(armed: Armed) -> None:
    assert timers.seconds_until_next() is None

    armed({"interval": 10_000}, now=timers._now())

    until = timers.seconds_until_next()
    assert until is not None
    assert 9_000 < until <= 10_001


@pytest.mark.django_db(transaction=True)
def test_a_timer_that_another_beat_holds_is_passed_over(armed: Armed) -> None:
    armed()
    other = connections.create_connection("default")
    try:
        with transaction.atomic():
            Timer.objects.select_for_update().get()
            with other.cursor() as cursor:
                cursor.execute(timers.CLAIM, {"now": at(60), "limit": 10})
                passed_over = cursor.fetchall()
    finally:
        other.close()

    assert passed_over == []
    assert timers.fire_due(at(60)) == 1


@pytest.mark.django_db(transaction=True)
def test_a_failure_between_leaves_the_timer_due(armed: Armed, monkeypatch: pytest.MonkeyPatch) -> None:
    timer = armed()
    with monkeypatch.context() as broken:
        broken.setattr(timers, "_advance", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            timers.fire_due(at(60))

    assert (Event.objects.count(), timer.slots.count()) == (0, 0)
    assert timers.fire_due(at(60)) == 1
    assert Event.objects.count() == 1
