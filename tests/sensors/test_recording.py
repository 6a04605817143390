"""The door of the pipeline: what is stored, what is a duplicate, what is refused."""

import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from attune_project.messaging.topology import EVENT_CREATED
from sensors.models import Event, Trigger
from sensors.recording import EventRefused, NewEvent, Recorded, record_event, record_events

pytestmark = pytest.mark.django_db


@pytest.fixture
def trigger(db):
    schema = {"host": {"type": "string", "required": True}}
    return Trigger.objects.create(ref="demo.push", label="Push", out_schema=schema)


def test_a_stored_event_is_new_and_carries_its_trigger(trigger):
    trace_id = uuid.uuid4()

    recorded = record_event(NewEvent("demo.push", {"host": "a"}, trace_id=trace_id))

    event = Event.objects.get(pk=recorded.id)
    assert (event.status, event.trigger_id, event.payload) == ("new", trigger.pk, {"host": "a"})
    assert event.trace_id == trace_id


def test_a_known_dedup_key_is_a_duplicate_of_the_first(trigger):
    first = record_event(NewEvent("demo.push", {"host": "a"}, dedup_key="k"))

    again = record_event(NewEvent("demo.push", {"host": "b"}, dedup_key="k"))

    assert again == Recorded(first.id, duplicate=True)
    assert Event.objects.count() == 1


def test_duplicates_within_a_batch_are_seen(trigger):
    events = [NewEvent("demo.push", {"host": "a"}, dedup_key=key) for key in ("x", "y", "x")]

    one, two, three = record_events(events)

    assert (one.duplicate, two.duplicate, three.duplicate) == (False, False, True)
    assert three.id == one.id


def test_a_dedup_key_belongs_to_its_trigger(trigger):
    Trigger.objects.create(ref="demo.other", label="Other")

    record_event(NewEvent("demo.push", {"host": "a"}, dedup_key="k"))

    assert record_event(NewEvent("demo.other", dedup_key="k")).duplicate is False


def test_each_event_of_a_batch_stands_alone(trigger):
    good, bad, unknown = record_events(
        [NewEvent("demo.push", {"host": "a"}), NewEvent("demo.push", {"host": 1}), NewEvent("demo.none")]
    )

    assert isinstance(good, Recorded)
    assert (bad.code, list(bad.details)) == ("VALIDATION_ERROR", ["payload.host"])
    assert unknown.code == "NOT_FOUND"
    assert Event.objects.count() == 1


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"host": "a\x00b"}, "VALIDATION_ERROR"),
        ({"host": "a", "n": float("nan")}, "VALIDATION_ERROR"),
        ({}, "VALIDATION_ERROR"),
        (None, "VALIDATION_ERROR"),
        (
            {"host": "a", "deep": __import__("functools").reduce(lambda v, _: [v], range(80), 1)},
            "BAD_REQUEST",
        ),
    ],
)
def test_what_cannot_be_stored_or_does_not_fit_is_refused(trigger, payload, code):
    with pytest.raises(EventRefused) as refused:
        record_event(NewEvent("demo.push", payload))

    assert refused.value.code == code
    assert Event.objects.count() == 0


def test_a_disabled_trigger_records_nothing(trigger):
    Trigger.objects.update(enabled=False)

    with pytest.raises(EventRefused, match="disabled"):
        record_event(NewEvent("demo.push", {"host": "a"}))


def test_an_event_for_a_rule_that_is_gone_is_refused(trigger):
    with pytest.raises(EventRefused, match="Rule 999 does not exist"):
        record_event(NewEvent("demo.push", {"host": "a"}, rule_id=999))


def test_many_events_cost_as_many_queries_as_one(trigger):
    with CaptureQueriesContext(connection) as one:
        record_events([NewEvent("demo.push", {"host": "a"})])
    with CaptureQueriesContext(connection) as many:
        record_events([NewEvent("demo.push", {"host": str(n)}) for n in range(200)])

    assert len(many) == len(one)


def test_many_events_are_one_ring(trigger, fake_publisher, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        stored = record_events([NewEvent("demo.push", {"host": str(n)}) for n in range(200)])

    assert len(fake_publisher.letters) == 1
    assert fake_publisher.rung(EVENT_CREATED) == [one.id for one in stored]
