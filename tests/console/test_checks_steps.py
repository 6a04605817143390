"""Polls, owed rows, timers, the alarm itself."""

import time

import pytest

from attune_project.console import checks_steps
from attune_project.messaging import steps
from attune_project.messaging.models import MessageProbe, Step

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _up_for_long(ago, monkeypatch):
    monkeypatch.setattr(checks_steps, "STARTED", time.monotonic() - 5000)
    row = MessageProbe.objects.create(message_type="x", routing_key="x", service="web", sent_at=ago(1))
    MessageProbe.objects.filter(pk=row.pk).update(created=ago(5000))


@pytest.fixture
def polled(ago):
    for step in steps.every():
        Step.objects.create(name=step.name, polled_at=ago(2))
    for name in ("timers", "alerts"):
        Step.objects.create(name=name, polled_at=ago(2))


def red(work):
    return {one.name: one.reason for one in work() if not one.ok}


def test_polls_that_find_nothing_are_green(polled):
    assert {one.name for one in checks_steps.polls()} == {
        "poll:match",
        "poll:enforce",
        "poll:run",
        "poll:settle",
    }
    assert red(checks_steps.polls) == {}


@pytest.mark.parametrize(("seconds", "names"), [(59, ["poll:enforce"]), (61, [])])
def test_a_repair_is_red_for_a_minute(polled, ago, seconds, names):
    Step.objects.filter(name="enforce").update(repaired_at=ago(seconds), repairs=7)

    assert list(red(checks_steps.polls)) == names


def test_a_repair_names_the_message_that_got_lost(polled, ago):
    Step.objects.filter(name="enforce").update(repaired_at=ago(5), repairs=7)

    (reason,) = red(checks_steps.polls).values()

    assert reason.startswith(
        "Rows were found without their message 5 s ago: the poll of the executor service did the step"
        " enforce for them (7 in all). So messages of type EnforcementCreated get lost"
    )


@pytest.mark.parametrize(("seconds", "count"), [(19, 0), (21, 1)])
def test_a_service_that_does_not_poll(polled, ago, seconds, count):
    Step.objects.filter(name="match").update(polled_at=ago(seconds))

    reasons = red(checks_steps.polls)

    assert len(reasons) == count
    assert all("No sensor service has polled the step match" in reason for reason in reasons.values())


def test_a_poll_accuses_its_service_or_the_way_of_its_message(polled, ago):
    Step.objects.filter(name="match").update(repaired_at=ago(1))
    Step.objects.filter(name="enforce").update(polled_at=ago(300))

    causes = {one.name: one.cause for one in checks_steps.polls() if not one.ok}

    assert causes == {"poll:match": "message:event.created", "poll:enforce": "service:executor"}


def test_a_step_that_was_never_polled(polled):
    Step.objects.filter(name="match").delete()

    assert list(red(checks_steps.polls)) == ["poll:match"]


def test_polls_that_are_switched_off_are_not_missed(settings):
    settings.ATTUNE_POLLS = False

    assert red(checks_steps.polls) == {}


@pytest.mark.parametrize(("seconds", "count"), [(29, 0), (31, 1)])
def test_rows_that_owe_for_long(chain, sql, ago, seconds, count):
    sql("UPDATE event SET status = 'new', created = %s", ago(seconds))

    reasons = red(checks_steps.owed)

    assert len(reasons) == count
    assert all(name == "owed:match" and text.startswith("1 rows of event") for name, text in reasons.items())


def test_rows_of_a_step_that_is_behind_may_owe(chain, sql, ago):
    sql("UPDATE event SET status = 'new', created = %s", ago(100))
    Step.objects.create(name="match", full_claim_at=ago(3))

    assert red(checks_steps.owed) == {}


def test_timers_that_are_looked_at_are_green(polled, canary_rule):
    assert red(checks_steps.timers) == {}


def test_no_beat_leads(polled, ago):
    Step.objects.filter(name="timers").update(polled_at=ago(21))

    assert red(checks_steps.timers) == {
        "timers": "No beat has looked at the timers for 21 s: is a beat service running?"
    }


def test_a_timer_that_is_overdue(polled, canary_rule, sql, ago):
    sql("UPDATE timer SET next_fire_at = %s", ago(19))
    assert red(checks_steps.timers) == {}

    sql("UPDATE timer SET next_fire_at = %s", ago(21))
    assert red(checks_steps.timers)["timers"].startswith("1 timers are overdue")


def test_a_disabled_timer_is_not_overdue(polled, canary_rule, sql, ago):
    sql("UPDATE timer SET next_fire_at = %s, enabled = false", ago(1000))

    assert red(checks_steps.timers) == {}


def test_nobody_watches(polled, ago):
    assert red(checks_steps.alerting) == {}

    Step.objects.filter(name="alerts").update(polled_at=ago(51))
    assert "No service has looked at these checks for 51 s" in red(checks_steps.alerting)["alerts"]


def test_the_time_that_everything_was_off_accuses_nobody(polled, ago, monkeypatch):
    monkeypatch.setattr(checks_steps, "STARTED", time.monotonic() - 1)

    Step.objects.filter(name="alerts").update(polled_at=ago(900))

    assert red(checks_steps.alerting) == {}
