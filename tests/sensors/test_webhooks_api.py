"""Webhooks: the open door."""

import json

import pytest

from attune_project.messaging.topology import EVENT_CREATED
from sensors.models import Event, Trigger

URL = "/api/v1/webhooks/wh_1"


@pytest.fixture
def hook(db):
    """Make the trigger of the webhook `wh_1`."""

    def make(**values):
        defaults = {"label": "Hook", "webhook_enabled": True, "webhook_key": "wh_1"}
        return Trigger.objects.create(ref="demo.hook", **{**defaults, **values})

    return make


def send(client, body, **headers):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(URL, raw, content_type="application/json", headers=headers)


def test_a_webhook_is_an_event(stranger, hook, fake_publisher, django_capture_on_commit_callbacks):
    hook()

    with django_capture_on_commit_callbacks(execute=True):
        answer = send(stranger, {"level": 3})

    event = Event.objects.get()
    told = answer.json()["data"]
    assert answer.status_code == 200
    assert told.pop("received_at").endswith("Z")
    assert told == {
        "event_id": event.pk, "trigger_ref": "demo.hook", "message": "Webhook received successfully",
    }  # fmt: skip
    assert (event.payload, event.config, event.source_ref) == ({"level": 3}, None, "webhook")
    assert str(event.trace_id) == answer.headers["X-Request-Id"]
    assert fake_publisher.rung(EVENT_CREATED) == [event.pk]


@pytest.mark.parametrize(
    ("body", "payload", "config"),
    [
        ({"payload": {"a": 1}}, {"a": 1}, None),
        (
            {"payload": {"a": 1}, "headers": {"X": "y"}, "source_ip": "192.0.2.1", "user_agent": "u"},
            {"a": 1},
            {"headers": {"X": "y"}, "source_ip": "192.0.2.1", "user_agent": "u"},
        ),
        ({"payload": {"a": 1}, "params": {}}, {"payload": {"a": 1}, "params": {}}, None),
        ({"headers": {}}, {"headers": {}}, None),
        ({}, {}, None),
        ([1], {"body": [1]}, None),
        ("text", {"body": "text"}, None),
        (None, {"body": None}, None),
        ({"payload": [1]}, {"body": [1]}, None),
    ],
)
def test_what_the_payload_is(stranger, hook, body, payload, config):
    hook()

    assert send(stranger, body).status_code == 200

    event = Event.objects.get()
    assert (event.payload, event.config) == (payload, config)


def test_a_webhook_takes_two_statements(stranger, hook, django_assert_num_queries):
    """One reads the trigger, one stores the event."""
    hook(out_schema={"level": {"type": "integer"}})

    with django_assert_num_queries(2):
        assert send(stranger, {"level": 3}).status_code == 200


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded"])
def test_the_media_type_does_not_matter(stranger, hook, content_type):
    hook()

    answer = stranger.post(URL, b'{"a": 1}', content_type=content_type)

    assert answer.status_code == 200
    assert Event.objects.get().payload == {"a": 1}


@pytest.mark.parametrize("header", ["Idempotency-Key", "X-GitHub-Delivery", "X-Webhook-Id"])
def test_a_delivery_that_comes_twice_is_one_event(stranger, hook, header):
    hook()

    first, second = (send(stranger, {"a": 1}, **{header: "d-1"}).json()["data"] for _ in range(2))

    assert second["event_id"] == first["event_id"]
    assert ("duplicate" in first, second["duplicate"]) == (False, True)
    assert Event.objects.count() == 1


def test_a_sender_cannot_take_the_key_of_another_source(stranger, hook):
    trigger = hook()
    Event.objects.create(trigger=trigger, trigger_ref=trigger.ref, dedup_key="timer:1", trace_id="0" * 32)

    assert "duplicate" not in send(stranger, {}, **{"Idempotency-Key": "timer:1"}).json()["data"]


def test_a_key_that_is_too_long_is_refused(stranger, hook):
    hook()

    answer = send(stranger, {}, **{"Idempotency-Key": "x" * 513})

    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST")
    assert "Idempotency-Key" in answer.json()["error"]


@pytest.mark.parametrize(
    "values", [{"webhook_key": "wh_2"}, {"webhook_enabled": False}, {"enabled": False}, {"webhook_key": None}]
)
def test_what_is_not_open_is_absent(stranger, hook, values):
    hook(**values)

    answer = send(stranger, {})

    assert (answer.status_code, answer.json()) == (404, {"error": "Not found.", "code": "NOT_FOUND"})
    assert not Event.objects.exists()


def test_a_key_with_a_nul_is_absent(stranger, db):
    assert stranger.post("/api/v1/webhooks/wh%00").status_code == 404


@pytest.mark.parametrize(
    ("limit", "size", "status"), [(1, 1024, 200), (1, 1025, 413), (None, 2**20 + 1, 413)]
)
def test_a_body_over_the_limit_is_413(stranger, hook, limit, size, status):
    hook(webhook_config={"payload_size_limit_kb": limit} if limit else {})

    answer = send(stranger, b'"%s"' % (b"x" * (size - 2)))

    assert answer.status_code == status
    assert Event.objects.count() == (status == 200)


def test_11_mib_are_413(stranger, hook):
    hook(webhook_config={"payload_size_limit_kb": 10240})

    answer = send(stranger, b'"%s"' % (b"x" * 11 * 2**20))

    assert (answer.status_code, answer.json()["code"]) == (413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize(
    "config",
    [
        {"hmac": {"enabled": True, "secret": "s"}},
        {"timestamp": {"enabled": True}},
        {"ip_whitelist": {"enabled": True, "ips": ["127.0.0.1"]}},
        {"rate_limit": {"enabled": "no"}},
        {"hmac": "on"},
        {"payload_size_limit_kb": "large"},
        {"payload_size_limit_kb": -1},
        [],
    ],
)
def test_a_guard_that_cannot_be_applied_closes_the_door(stranger, hook, config):
    hook(webhook_config=config)

    answer = send(stranger, {})

    assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"a=b", 400),
        (b"\xff", 400),
        (b"[" * 20_000 + b"]" * 20_000, 400),
        (b'{"a": "\\u0000"}', 422),
        (b'{"a": NaN}', 422),
        (b'{"level": "high"}', 422),
    ],
    ids=["empty", "broken", "a form", "not UTF-8", "deep", "NUL", "NaN", "outside the schema"],
)
def test_a_body_that_is_no_good_is_refused(stranger, hook, raw, status):
    hook(out_schema={"level": {"type": "integer"}})

    answer = send(stranger, raw)

    assert answer.status_code == status
    assert answer.json()["code"] == {400: "BAD_REQUEST", 422: "VALIDATION_ERROR"}[status]
    assert not Event.objects.exists()


def test_credentials_are_never_looked_at(stranger, hook):
    hook()

    assert send(stranger, {}, Authorization="Bearer junk").status_code == 200


def test_a_webhook_is_only_posted_to(stranger, hook):
    hook()

    assert stranger.get(URL).status_code == 405
