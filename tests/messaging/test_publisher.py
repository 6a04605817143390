"""Publishing: gathered, limited in time, counted, and never in the way of whoever rings."""

import json
import threading
import time

import pytest
from django.db import transaction

from attune_project.messaging import publisher as publishing
from attune_project.messaging.publisher import Letter, PublisherThread, Unroutable, compose, gather
from attune_project.messaging.ring import ring
from attune_project.messaging.topology import ENFORCEMENT_CREATED, EVENT_CREATED, EXECUTION_REQUESTED


def test_rings_of_one_type_go_out_as_one_message():
    letters = [Letter(EVENT_CREATED, [1]), Letter(ENFORCEMENT_CREATED, [7]), Letter(EVENT_CREATED, [2, 3])]

    gathered = gather(letters)

    assert [(letter.message.name, letter.ids) for letter in gathered] == [
        ("EventCreated", [1, 2, 3]),
        ("EnforcementCreated", [7]),
    ]


def test_rings_for_different_pools_stay_apart():
    letters = [Letter(EXECUTION_REQUESTED, [1], pool="gpu"), Letter(EXECUTION_REQUESTED, [2])]

    assert len(gather(letters)) == 2


def test_a_message_holds_at_most_five_hundred_ids():
    gathered = gather(Letter(EVENT_CREATED, list(range(start, start + 300))) for start in (0, 300, 600))

    assert [len(letter.ids) for letter in gathered] == [300, 300, 300]


def test_probes_stay_alone():
    gathered = gather([Letter(EVENT_CREATED, [1]), Letter(EVENT_CREATED, probe="web")])

    assert [letter.probe for letter in gathered] == [None, "web"]


@pytest.fixture
def idle_thread():
    """A publisher that isn't started; `sent` says when it sent an EventCreated, by its clock."""

    def make(sent=None, letters=()):
        thread = PublisherThread()
        if sent is not None:
            thread._sent_at[Letter(EVENT_CREATED).kind] = time.monotonic() + sent
        thread._waiting = list(letters)
        return thread

    return make


@pytest.mark.parametrize("sent", [None, -1000])
@pytest.mark.parametrize("lazy", [False, True])
def test_the_first_ring_goes_out_at_once(idle_thread, sent, lazy):
    letter = Letter(EVENT_CREATED, [1], lazy=lazy)

    assert idle_thread(sent, [letter])._due(everything=False) == [letter]


def test_the_next_of_a_kind_waits_for_others_and_holds_up_no_other_kind(idle_thread):
    letters = [Letter(EVENT_CREATED, [1]), Letter(ENFORCEMENT_CREATED, [7])]
    thread = idle_thread(1000, letters)

    assert thread._due(everything=False) == [letters[1]]
    assert thread._waiting == [letters[0]]


def test_a_few_that_come_close_together_need_not_wait_for_each_other(idle_thread):
    thread, letter = idle_thread(), Letter(EVENT_CREATED, [1])

    for _ring in range(4):
        thread._note_sent(letter.kind)
        assert thread._due_at(letter) <= time.monotonic()
    for _ring in range(10_000):
        thread._note_sent(letter.kind)
    assert thread._due_at(letter) > time.monotonic() + publishing.GATHER_SECONDS


def test_a_probe_waits_for_nothing(idle_thread):
    probe = Letter(EVENT_CREATED, probe="web")

    assert idle_thread(1000, [probe])._due(everything=False) == [probe]


def test_a_lazy_ring_waits_for_longer_but_goes_with_one_that_is_due(idle_thread):
    now = time.monotonic()
    thread = idle_thread(-(publishing.GATHER_SECONDS + publishing.LAZY_SECONDS) / 2)
    lazy, prompt = Letter(EVENT_CREATED, [1], lazy=True), Letter(EVENT_CREATED, [2])

    assert thread._due_at(prompt) < now < thread._due_at(lazy)
    thread._waiting = [lazy, prompt]
    assert thread._due(everything=False) == [lazy, prompt]


def test_what_waits_goes_out_at_the_end(monkeypatch):
    thread, sent = PublisherThread(), []
    thread._sent_at[Letter(EVENT_CREATED).kind] = time.monotonic() + 1000
    monkeypatch.setattr(thread, "_attempt", lambda letter: (sent.append(letter.ids), (None, "ok"))[1])

    thread.send(Letter(EVENT_CREATED, [1]))
    thread.send(Letter(EVENT_CREATED, [2], lazy=True))
    thread.start()
    thread.stop(60)

    assert sent == [[1, 2]]


def test_rings_that_come_one_after_the_other_gather(monkeypatch):
    thread, sent = PublisherThread(), []
    monkeypatch.setattr(publishing, "GATHER_SECONDS", 1000)
    monkeypatch.setattr(thread, "_attempt", lambda letter: (sent.append(letter.ids), (None, "ok"))[1])
    thread.start()

    first = threading.Event()
    monkeypatch.setattr(publishing.counts, "add", lambda *what: first.set())
    thread.send(Letter(EVENT_CREATED, [1]))
    assert first.wait(60)
    for row_id in (2, 3, 4):
        thread.send(Letter(EVENT_CREATED, [row_id]))
    thread.stop(60)

    assert sent == [[1], [2, 3, 4]]


def test_a_message_is_a_celery_task_with_ids_only_and_the_headers_of_the_contract():
    body, headers = compose(Letter(EVENT_CREATED, [4, 5], trace_id="t-1"))

    assert json.loads(body)[1] == {"event_ids": [4, 5]}
    assert headers["task"] == "attune.event_created"
    assert (headers["message_type"], headers["version"], headers["trace_id"]) == (
        "EventCreated",
        "1.0",
        "t-1",
    )
    assert headers["message_id"]


@pytest.mark.django_db(transaction=True)
def test_a_ring_waits_for_the_commit(fake_publisher):
    with transaction.atomic():
        ring(EVENT_CREATED, [1])
        before = list(fake_publisher.letters)

    assert before == []
    assert fake_publisher.rung(EVENT_CREATED) == [1]


@pytest.mark.django_db(transaction=True)
def test_a_ring_is_gone_with_its_transaction(fake_publisher):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        ring(EVENT_CREATED, [1])
        raise ZeroDivisionError

    assert fake_publisher.letters == []


@pytest.mark.django_db(transaction=True)
def test_ringing_for_nothing_sends_nothing(fake_publisher):
    ring(EVENT_CREATED, [])

    assert fake_publisher.letters == []


def test_while_the_broker_is_away_messages_are_counted_and_dropped_at_once(monkeypatch):
    counted = []
    monkeypatch.setattr(publishing.counts, "add", lambda *what: counted.append(what))
    thread = PublisherThread()
    tries = []

    def refuse(letter):
        tries.append(letter)
        raise ConnectionRefusedError("nobody there")

    monkeypatch.setattr(thread, "_publish", refuse)
    errors = []
    for _ in range(3):
        thread._deliver(Letter(EVENT_CREATED, [1], done=errors.append))

    assert len(tries) == 1
    assert counted == [("published", "EventCreated", "failed")] * 3
    assert all("nobody there" in error for error in errors)


def test_a_connection_that_has_died_meanwhile_is_replaced_at_once(monkeypatch):
    thread = PublisherThread()
    thread._channel = object()
    tries = []

    def refuse_first(letter):
        tries.append(thread._channel)
        if thread._channel is not None:
            raise ConnectionResetError("the broker was restarted")

    monkeypatch.setattr(thread, "_publish", refuse_first)
    errors = []
    thread._deliver(Letter(EVENT_CREATED, [1], done=errors.append))

    assert len(tries) == 2
    assert errors == [None]


def test_an_unroutable_message_is_an_outcome_of_its_own(monkeypatch):
    counted = []
    monkeypatch.setattr(publishing.counts, "add", lambda *what: counted.append(what))
    thread = PublisherThread()

    def refuse(letter):
        raise Unroutable("no queue is bound")

    monkeypatch.setattr(thread, "_publish", refuse)
    thread._deliver(Letter(EVENT_CREATED, [1]))

    assert counted == [("published", "EventCreated", "unroutable")]


def test_a_callback_that_breaks_does_not_end_the_thread(monkeypatch):
    thread, heard = PublisherThread(), []
    monkeypatch.setattr(thread, "_attempt", lambda letter: (None, "ok"))

    def breaks(error):
        raise RuntimeError("broken callback")

    thread.start()
    thread.send(Letter(EVENT_CREATED, probe="web", done=breaks))
    thread.send(Letter(EVENT_CREATED, probe="web", done=heard.append))
    thread.stop()

    assert heard == [None]
