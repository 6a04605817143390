"""Operators' periodic tasks: which entries are refused, and where the others go."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from amqp.exceptions import ChannelError
from django.core.exceptions import ValidationError
from django.forms import modelform_factory
from django_celery_beat.admin import PeriodicTaskAdmin
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from kombu import Connection, Queue

from attune_project.celery import app
from attune_project.messaging.topology import ENFORCEMENT_CREATED
from sensors import periodic
from sensors.models import Event, Trigger
from sensors.recording import EventRefused

QUEUE = "operators.queue"


def entry(**fields: Any) -> PeriodicTask:
    for name in ("args", "kwargs"):
        if not isinstance(fields.get(name, ""), str):
            fields[name] = json.dumps(fields[name])
    return PeriodicTask(**{"name": "x", "task": periodic.EMIT_EVENT, **fields})


@pytest.mark.parametrize(
    "fields",
    [
        {"kwargs": {"trigger_ref": "a.b"}},
        {"kwargs": {"trigger_ref": "a.b", "payload": {"x": 1}}},
        {"args": ["a.b"], "kwargs": {"payload": {"x": 1}}},
        {"args": ["a.b", {"x": 1}]},
        {"task": "operators.clean", "queue": QUEUE},
        {"task": ENFORCEMENT_CREATED.task, "queue": ENFORCEMENT_CREATED.queue},
    ],
)
def test_entries_that_can_do_what_they_say(fields: dict[str, Any]) -> None:
    periodic.validate(entry(**fields))


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        (
            {"task": "operators.clean"},
            "queue",
            "Name the queue that a worker which knows 'operators.clean' reads: there is no default.",
        ),
        (
            {"task": "operators.clean", "queue": ENFORCEMENT_CREATED.queue},
            "queue",
            "Attune's own queue attune.executions.queue knows 'attune.enforcement_created' only.",
        ),
        (
            {"task": "operators.clean", "queue": QUEUE, "exchange": "attune.events"},
            "routing_key",
            "Leave exchange and routing key empty: the task goes straight to its queue.",
        ),
        ({}, "kwargs", "attune.emit_event needs trigger_ref, a text."),
        ({"args": ["a.b", 5]}, "kwargs", "attune.emit_event needs payload to be an object."),
        ({"args": ["a.b", {}, 1]}, "args", "Give a JSON list: [trigger_ref, payload]."),
        ({"args": "{"}, "args", "Give a JSON list: [trigger_ref, payload]."),
        (
            {"kwargs": {"trigger": "a.b"}},
            "kwargs",
            'Give a JSON object: {"trigger_ref": "pack.name", "payload": {...}}.',
        ),
    ],
)
def test_an_entry_that_could_not_is_refused(fields: dict[str, Any], field: str, message: str) -> None:
    with pytest.raises(ValidationError) as refused:
        periodic.validate(entry(**fields))

    assert refused.value.message_dict == {field: [message]}


@pytest.mark.django_db
def test_no_door_saves_a_task_without_a_queue() -> None:
    every = IntervalSchedule.objects.create(every=1, period="seconds")

    with pytest.raises(ValidationError, match="there is no default"):
        PeriodicTask.objects.create(name="x", task="operators.clean", interval=every)

    assert not PeriodicTask.objects.exists()


@pytest.mark.django_db
def test_the_admins_form_names_the_field() -> None:
    every = IntervalSchedule.objects.create(every=1, period="seconds")
    form_class = modelform_factory(
        PeriodicTask, form=PeriodicTaskAdmin.form, fields=["name", "task", "interval", "queue"]
    )

    form = form_class({"name": "x", "task": "operators.clean", "interval": every.pk})

    assert list(form.errors) == ["queue"]


@pytest.mark.django_db
def test_emit_event_records_an_event() -> None:
    Trigger.objects.create(ref="a.b", label="x")

    periodic.emit_event("a.b", {"x": 1})

    event = Event.objects.get()
    assert (event.trigger_ref, event.payload, event.source_ref) == ("a.b", {"x": 1}, "periodic_task")


@pytest.mark.django_db
def test_emit_event_of_an_unknown_trigger_is_refused() -> None:
    with pytest.raises(EventRefused, match=r"Trigger a\.b does not exist"):
        periodic.emit_event("a.b")


@contextmanager
def declared(url: str) -> Iterator[Any]:
    """Declare a queue of the operators' own, and delete it at the end."""
    with Connection(url) as connection:
        queue = Queue(QUEUE)(connection.channel())
        queue.declare()
        yield queue
        queue.delete()


def test_a_task_without_a_queue_is_not_sent() -> None:
    with pytest.raises(LookupError, match="names no queue"):
        periodic.send(app, "operators.clean", [], {}, {})


def test_a_task_goes_to_its_queue() -> None:
    with declared("memory://") as queue:
        periodic.send(app, "operators.clean", [1], {"x": 2}, {"queue": QUEUE, "headers": {"a": "b"}})
        message = queue.get(no_ack=True)

    assert (message.headers["task"], message.headers["a"]) == ("operators.clean", "b")
    assert message.payload[:2] == [[1], {"x": 2}]


@pytest.fixture
def rabbitmq(settings: Any) -> str:
    url = os.environ.get("ATTUNE_TEST_BROKER_URL", "")
    if not url:
        pytest.skip("needs ATTUNE_TEST_BROKER_URL")
    settings.BROKER_URL = url
    return url


@pytest.mark.rabbitmq
def test_a_task_goes_to_its_queue_on_rabbitmq(rabbitmq: str) -> None:
    with declared(rabbitmq) as queue:
        periodic.send(app, "operators.clean", [1], {}, {"queue": QUEUE})
        message = queue.get(no_ack=True)

    assert message.headers["task"] == "operators.clean"


@pytest.mark.rabbitmq
def test_a_queue_that_is_not_there_is_an_error_and_is_not_made(rabbitmq: str) -> None:
    for _ in range(2):
        with pytest.raises(ChannelError, match="NO_ROUTE"):
            periodic.send(app, "operators.clean", [], {}, {"queue": "no.such.queue"})
