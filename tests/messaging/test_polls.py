"""Polls repair, and count only what is a repair."""

import time
import uuid

import pytest
from django.db import connection

from attune_project.messaging import polls, steps
from attune_project.messaging.models import Step
from sensors.models import Event

pytestmark = pytest.mark.django_db


@pytest.fixture
def step():
    return steps.of_service("sensor")[0]


def old_event(seconds=10):
    event = Event.objects.create(trigger_ref="core.alert", trace_id=uuid.uuid4())
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE event SET created = now() - make_interval(secs => %s) WHERE id = %s", [seconds, event.pk]
        )
    return event


def test_a_row_that_has_owed_for_long_is_done_and_counted(step):
    event = old_event()

    assert polls.poll(step) == 1
    event.refresh_from_db()
    assert event.status == "decided"
    assert Step.objects.get(name="match").repairs == 1


def test_a_fresh_row_is_left_to_its_message(step):
    event = old_event(seconds=0)

    assert polls.poll(step) == 0
    event.refresh_from_db()
    assert event.status == "new"
    assert Step.objects.get(name="match").polled_at is not None


def test_a_step_that_is_merely_behind_is_no_repair(step):
    steps._noted.clear()
    steps.note_full_claim("match")
    event = old_event()

    assert polls.poll(step) == 0
    event.refresh_from_db()
    assert event.status == "decided"


def test_a_step_that_waits_by_design_is_left_alone(step):
    waiting = steps.OwedStep(**{**step.__dict__, "waits_by_design": lambda: True})
    event = old_event()

    assert polls.poll(waiting) == 0
    event.refresh_from_db()
    assert event.status == "new"


def test_a_row_that_nobody_here_can_do_is_no_repair_of_another(step):
    """A fresh row that is done beside one that waits for another pool was not lost."""
    old_event()
    picky = steps.OwedStep(**{**step.__dict__, "verb": lambda limit: 1})

    assert polls.poll(picky) == 0


def test_repairs_add_up(step):
    for _ in range(2):
        old_event()
        polls.poll(step)

    assert Step.objects.get(name="match").repairs == 2


def test_what_waited_for_this_process_to_start_is_no_repair(monkeypatch):
    monkeypatch.setenv("ATTUNE_SERVICE", "sensor")
    monkeypatch.setattr(polls, "_ended", {})
    steps._noted.clear()
    event = old_event()

    polls.poll_all()

    event.refresh_from_db()
    assert event.status == "decided"
    assert Step.objects.get(name="match").repairs == 0


def test_what_waited_for_a_process_that_was_frozen_is_no_repair(monkeypatch):
    monkeypatch.setenv("ATTUNE_SERVICE", "sensor")
    monkeypatch.setattr(polls, "_ended", {"match": time.monotonic() - 40})
    steps._noted.clear()
    old_event(seconds=30)

    polls.poll_all()

    assert Step.objects.get(name="match").repairs == 0


def test_what_a_process_finds_that_polled_in_time_is_a_repair(monkeypatch):
    monkeypatch.setenv("ATTUNE_SERVICE", "sensor")
    monkeypatch.setattr(polls, "_ended", {"match": time.monotonic() - 2})
    old_event()

    polls.poll_all()

    assert Step.objects.get(name="match").repairs == 1


def test_a_step_that_fails_holds_up_no_other(monkeypatch):
    polled = []
    first, *others = steps.of_service("executor")

    def poll(step):
        polled.append(step.name)
        if step is first:
            raise LookupError("no such column")

    monkeypatch.setattr(polls, "poll", poll)
    monkeypatch.setattr(polls.connections, "close_all", lambda: None)
    monkeypatch.setenv("ATTUNE_SERVICE", "executor")

    with pytest.raises(LookupError, match="no such column"):
        polls.poll_all()

    assert others
    assert polled == [step.name for step in (first, *others)]
