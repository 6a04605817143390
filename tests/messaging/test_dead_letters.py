"""Dead letters become rows, whatever is in them."""

import uuid
from types import SimpleNamespace

import pytest

from attune_project.messaging.dead_letters import keep
from attune_project.messaging.models import DeadLetter

pytestmark = pytest.mark.django_db
DEATH = {
    "queue": "attune.events.queue",
    "exchange": "attune.events",
    "reason": "rejected",
    "routing-keys": ["event.created"],
}


def message(body=b"{}", key="", **headers):
    return SimpleNamespace(body=body, headers=headers, delivery_info={"routing_key": key})


def test_it_says_where_it_died():
    trace_id = uuid.uuid4()

    keep(message(b'{"event_ids": [1]}', **{"x-death": [DEATH], "trace_id": str(trace_id), "id": "m"}))

    row = DeadLetter.objects.get()
    assert (row.queue, row.exchange, row.routing_key) == (
        "attune.events.queue",
        "attune.events",
        "event.created",
    )
    assert (row.reason, row.body, row.trace_id) == ("rejected", '{"event_ids": [1]}', trace_id)
    assert row.message_id == "m"


@pytest.mark.parametrize(
    "headers",
    [
        {"trace_id": "not a uuid"},
        {"trace_id": {"a": 1}},
        {"x-death": "no list"},
        {"x-death": ["no map"]},
        {"id": 7},
        {"n": float("nan")},
        {"text": "a\x00b"},
        {"text": "\ud800"},
        {"x-death": [{**DEATH, "reason": "\x00", "routing-keys": [None]}]},
    ],
)
def test_strange_headers_do_not_hold_up_those_behind(headers):
    keep(message(b"\xff\x00", key="k\x00", **headers))

    row = DeadLetter.objects.get()
    assert row.body == "\ufffd\ufffd"


def test_headers_without_a_json_form_are_kept_as_text():
    keep(message(n=float("nan")))

    assert DeadLetter.objects.get().headers == {"unreadable": "{'n': nan}"}
