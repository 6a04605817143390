"""Dead letters are re-driven once, by whoever comes first, and say who it was and why."""

import json
import threading
import uuid

import pytest
from django.db import connection, transaction

from attune_project.messaging import failures, steps
from attune_project.messaging.models import DeadLetter, StepFailure
from attune_project.messaging.redriving import Actor, Outcome, discard, preview, redrive
from attune_project.messaging.topology import EVENT_CREATED, EXECUTION_REQUESTED
from executions.models import Execution
from sensors.models import Event

ME = Actor("me", 7)


def event(**values):
    return Event.objects.create(trigger_ref="t.t", trace_id=uuid.uuid4(), **values)


def aside(row):
    """Set an event aside; return its letter."""
    step = steps.of_message(EVENT_CREATED)
    failures.note(step, row.pk, ValueError("poison"))
    failures.set_aside(step, row.pk)
    return DeadLetter.objects.get(step="match", row_id=row.pk, requeued_at=None, discarded_at=None)


def dead(message=EVENT_CREATED, ids=(1,), key=None, **headers):
    """Return a letter of a message."""
    return DeadLetter.objects.create(
        queue=message.queue, exchange=message.exchange, routing_key=key or message.routing_key,
        reason="delivery_limit", body=json.dumps([[], {message.argument: list(ids)}, {}]),
        headers={"task": message.task, **headers},
    )  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_a_row_goes_back_to_its_step(fake_publisher):
    row = event()
    letter = aside(row)
    assert steps.owed_count(steps.of_message(EVENT_CREATED), -1) == 0

    (plan,) = redrive([letter.pk], ME, "the rule is mended")

    assert plan.outcome == Outcome.RUNG
    assert not StepFailure.objects.exists()
    assert steps.owed_count(steps.of_message(EVENT_CREATED), -1) == 1
    assert fake_publisher.rung(EVENT_CREATED) == [row.pk]
    letter.refresh_from_db()
    assert (letter.status, letter.closed_by_id, letter.closed_by_login, letter.closed_reason) == (
        "requeued", 7, "me", "the rule is mended",
    )  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_again_changes_nothing(fake_publisher):
    letter = aside(event())
    redrive([letter.pk], ME, "first")
    fake_publisher.clear()

    (plan,) = redrive([letter.pk], Actor("other"), "second")

    assert plan.outcome == Outcome.CLOSED
    assert fake_publisher.letters == []
    letter.refresh_from_db()
    assert letter.closed_reason == "first"


@pytest.mark.django_db(transaction=True)
def test_two_at_once_re_drive_it_once(fake_publisher):
    """The second waits for the first, and then finds it closed."""
    row = event()
    letter = aside(row)
    outcomes = []

    def second():
        outcomes.extend(plan.outcome for plan in redrive([letter.pk], Actor("second"), None))
        connection.close()

    with transaction.atomic():
        outcomes.extend(plan.outcome for plan in redrive([letter.pk], ME, None))
        other = threading.Thread(target=second)
        other.start()
    other.join(60)

    assert outcomes == [Outcome.RUNG, Outcome.CLOSED]
    assert fake_publisher.rung(EVENT_CREATED) == [row.pk]


@pytest.mark.django_db(transaction=True)
def test_a_row_that_fails_again_becomes_a_letter_of_its_own():
    row = event()
    first = aside(row)
    redrive([first.pk], ME, None)

    second = aside(row)

    assert second.pk != first.pk
    assert second.is_open


@pytest.mark.django_db
def test_a_preview_says_what_would_become_and_changes_nothing(fake_publisher):
    owing, done = event(), event(status="decided")
    letters = [
        aside(owing),
        dead(ids=[owing.pk, done.pk]),
        dead(ids=[done.pk]),
        dead(probe="web"),
        dead(version="9.9"),
        DeadLetter.objects.create(queue="q", exchange="", routing_key="", reason="malformed", body="{"),
    ]

    plans = preview(letters)

    assert [plan.outcome for plan in plans] == [
        "rung", "rung", "nothing_owed", "nothing_owed", "impossible", "impossible",
    ]  # fmt: skip
    assert plans[1].text == "EventCreated is rung for 1 of the 2 rows that it names."
    assert fake_publisher.letters == []
    assert DeadLetter.objects.filter(requeued_at=None).count() == 6


@pytest.mark.django_db(transaction=True)
def test_what_nobody_understands_stays_open():
    letter = dead(version="9.9")

    (plan,) = redrive([letter.pk], ME, None)

    letter.refresh_from_db()
    assert (plan.outcome, letter.is_open) == (Outcome.IMPOSSIBLE, True)


@pytest.mark.django_db(transaction=True)
def test_a_pool_s_message_goes_to_its_pool(fake_publisher):
    execution = Execution.objects.create(
        action_ref="core.echo", status="scheduled", worker_pool="gpu", trace_id=uuid.uuid4()
    )
    letter = dead(EXECUTION_REQUESTED, [execution.pk], key="execution.requested.gpu")

    redrive([letter.pk], ME, None)

    (rung,) = fake_publisher.letters
    assert (rung.pool, rung.ids) == ("gpu", [execution.pk])


@pytest.mark.django_db
def test_many_are_re_driven_in_parts(monkeypatch):
    monkeypatch.setattr("attune_project.messaging.redriving.BATCH", 2)
    letters = [aside(event()) for _ in range(5)]

    plans = redrive([letter.pk for letter in letters], ME, None)

    assert [plan.outcome for plan in plans] == [Outcome.RUNG] * 5


@pytest.mark.django_db
def test_discarding_closes_and_leaves_the_row_set_aside(fake_publisher):
    letter = aside(event())

    assert discard([letter.pk], ME, "old") == [letter.pk]
    assert discard([letter.pk], ME, "old") == []

    letter.refresh_from_db()
    assert (letter.status, letter.closed_reason) == ("discarded", "old")
    assert StepFailure.objects.get().retry_at is None
    assert fake_publisher.letters == []
