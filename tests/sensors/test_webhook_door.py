"""Webhooks that come at the same time are taken together, and answered as each would be alone."""

import asyncio
import io
import json
import uuid

import pytest
from django.core.handlers.asgi import ASGIRequest
from django.db import DataError, connections

from attune_project.messaging import publisher
from attune_project.messaging.topology import EVENT_CREATED
from attune_project.rest.handler import RequestHandler
from sensors.api import webhooks
from sensors.api.webhooks import WebhookDoor
from sensors.models import Event, Trigger

PATIENCE = 60


@pytest.fixture
def hook(db):
    """Make the trigger of the webhook `wh_1`."""

    def make(**values):
        return Trigger.objects.create(
            ref="demo.hook", label="Hook", webhook_enabled=True, webhook_key="wh_1", **values
        )

    return make


def scope_of(key="wh_1", method="POST", query=b"", **headers):
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {
        "type": "http", "method": method, "path": f"/api/v1/webhooks/{key}", "query_string": query,
        "headers": [(b"host", b"localhost"), *named],
    }  # fmt: skip


def request(body, key="wh_1", **headers):
    made = ASGIRequest(scope_of(key, **headers), io.BytesIO(body))
    made.trace_id = uuid.uuid4()
    return made


def told(response):
    return json.loads(response.content)["data"] if response else None


def test_many_are_two_statements_and_one_ring(
    hook, fake_publisher, django_assert_num_queries, django_capture_on_commit_callbacks
):
    hook(out_schema={"n": {"type": "integer"}})
    requests = [request(b'{"n": %d}' % number) for number in range(5)]

    with django_capture_on_commit_callbacks(execute=True), django_assert_num_queries(2):
        answers = WebhookDoor().take(requests)

    events = Event.objects.order_by("id")
    assert [event.payload for event in events] == [{"n": number} for number in range(5)]
    assert [event.trace_id for event in events] == [each.trace_id for each in requests]
    assert [told(answer)["event_id"] for answer in answers] == [event.pk for event in events]
    assert [letter.ids for letter in fake_publisher.letters] == [[event.pk for event in events]]
    assert fake_publisher.letters[0].message == EVENT_CREATED


def test_who_is_refused_holds_back_nobody(hook):
    hook(out_schema={"n": {"type": "integer"}})
    bodies = [b'{"n": 1}', b"{", b'{"n": "high"}', b'{"n": "\\u0000"}', b'{"n": 2}']

    answers = WebhookDoor().take(
        [*map(request, bodies), request(b"{}", key="wh_2"), request(b"{}", idempotency_key="x" * 513)]
    )

    assert [answer is not None for answer in answers] == [True, False, False, False, True, False, False]
    assert [event.payload for event in Event.objects.order_by("id")] == [{"n": 1}, {"n": 2}]


def test_a_closed_webhook_takes_nothing(hook):
    hook(webhook_config={"hmac": {"enabled": True}})

    assert WebhookDoor().take([request(b"{}")]) == [None]
    assert not Event.objects.exists()


def test_one_delivery_twice_at_once_is_one_event(hook):
    hook()

    first, second = map(told, WebhookDoor().take([request(b"{}", x_webhook_id="d-1") for _ in range(2)]))

    assert first["event_id"] == second["event_id"]
    assert ("duplicate" in first, second.get("duplicate")) == (False, True)


def test_what_breaks_the_statement_of_all_is_left_to_each_alone(hook, monkeypatch):
    hook()

    def refuse(events, known):
        raise DataError("unsupported")

    monkeypatch.setattr(webhooks, "record_events", refuse)

    assert WebhookDoor().take([request(b"{}"), request(b"{}")]) == [None, None]


@pytest.mark.parametrize(
    ("scope", "opens"),
    [
        (scope_of(), True),
        (scope_of(method="GET"), False),
        (scope_of(query=b"format=json"), False),
        (scope_of(key="a/b"), False),
        ({**scope_of(), "path": "/api/v1/events"}, False),
    ],
)
def test_what_is_for_the_door(scope, opens):
    assert WebhookDoor().opens(scope) is opens


@pytest.fixture
def send(settings, monkeypatch):
    """Send bodies to a handler, all at once; return (status, headers, body) of each answer."""
    monkeypatch.setitem(connections.databases["default"], "CONN_MAX_AGE", 0)  # as in the web service

    def run(*bodies, door=None):
        handler = RequestHandler(2, door=door)

        async def ask(body):
            answered = []

            async def receive():
                return {"type": "http.request", "body": body, "more_body": False}

            async def take(message):
                answered.append(message)

            trace = str(uuid.UUID(int=7))
            await handler(scope_of(x_request_id=trace), receive, take)
            return answered[0]["status"], sorted(answered[0]["headers"]), answered[1]["body"]

        async def every():
            return await asyncio.wait_for(asyncio.gather(*map(ask, bodies)), PATIENCE)

        return asyncio.run(every())

    return run


@pytest.mark.django_db(transaction=True)
def test_door_and_view_answer_alike(send, hook):
    hook()
    door = WebhookDoor()
    answers = {}
    for name, way in (("view", None), ("door", door)):
        answers[name] = [
            (status, [pair for pair in headers if pair[0] != b"Content-Length"], told_apart(body))
            for status, headers, body in send(b'{"a": 1}', b"{", door=way)
        ]

    assert answers["door"] == answers["view"]
    assert [status for status, _, _ in answers["view"]] == [200, 400]


def told_apart(body):
    """Return an answer without what differs from event to event."""
    answer = json.loads(body)
    for name in ("event_id", "received_at"):
        answer.get("data", {}).pop(name, None)
    return answer


@pytest.mark.django_db(transaction=True)
def test_while_the_broker_is_away_webhooks_are_taken(send, hook, monkeypatch):
    hook()

    def unreachable():
        raise OSError("no broker")

    monkeypatch.setattr(publisher.broker, "connect", unreachable)
    thread = publisher.PublisherThread()
    thread.start()
    publisher.use(thread)
    try:
        answers = send(b"{}", b"{}", b"{}", door=WebhookDoor())
    finally:
        thread.stop(PATIENCE)

    assert [status for status, _, _ in answers] == [200] * 3
    assert Event.objects.filter(status="new").count() == 3
