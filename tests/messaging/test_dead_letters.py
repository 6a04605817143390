"""Dead letters become rows, whatever is in them."""

import uuid
from types import SimpleNamespace

import pytest

from attune_project.messaging import failures
from attune_project.messaging.dead_letters import keep
from attune_project.messaging.models import DeadLetter, StepFailure

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
    assert (row.reason, row.body, row.trace_id) == ("malformed", '{"event_ids": [1]}', trace_id)
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


ELSEWHERE = {**DEATH, "queue": "attune.executions.queue"}
WORN_OUT = {**DEATH, "reason": "delivery_limit"}


@pytest.mark.parametrize(
    ("body", "headers", "reason"),
    [
        (b"{", {}, "malformed"),
        (b'[[], {"event_ids": ["1"]}, {}]', {}, "malformed"),
        (b'[[], {"event_ids": [1], "more": 1}, {}]', {}, "malformed"),
        (b"[" * 5000, {}, "malformed"),
        (b"[[], {}, {}]", {"task": "attune.no_such"}, "unknown_task"),
        (b'[[], {"event_ids": [1]}, {}]', {"version": "2.0"}, "unsupported_version"),
        (b'[[], {"event_ids": [1]}, {}]', {"x-death": [ELSEWHERE]}, "misrouted"),
        (b'[[], {"event_ids": [1]}, {}]', {}, "rejected"),
        (b'[[], {"event_ids": [1]}, {}]', {"x-death": [WORN_OUT]}, "delivery_limit"),
    ],
)  # fmt: skip
def test_what_was_rejected_says_why(body, headers, reason):
    given = {"task": "attune.event_created", "id": "m", "x-death": [DEATH], **headers}
    bare = message(body, **given)
    bare.properties = {"content_type": "application/json"}

    keep(bare)

    assert DeadLetter.objects.get().reason == reason


def test_what_its_consumer_noted_comes_with_it():
    failures.note_message("m", "step_failed", "ValueError: poison")

    keep(message(id="m", **{"x-death": [{**DEATH, "reason": "delivery_limit"}]}))

    row = DeadLetter.objects.get()
    assert (row.reason, row.detail) == ("delivery_limit", "ValueError: poison")
    assert not StepFailure.objects.exists()


def test_the_same_message_is_one_row_with_a_count():
    for _ in range(3):
        keep(message(b"junk"))
    keep(message(b"other junk"))

    assert sorted(DeadLetter.objects.values_list("deaths", flat=True)) == [1, 3]
    first = DeadLetter.objects.get(deaths=3)
    DeadLetter.objects.filter(pk=first.pk).update(requeued_at=first.created)

    keep(message(b"junk"))

    assert DeadLetter.objects.count() == 3
