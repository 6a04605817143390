"""Messages as Celery's consumer hands them over: read on, one call of the step, an answer to each."""

from types import SimpleNamespace

import pytest
from celery.exceptions import InvalidTaskError, Reject

from attune_project.messaging import receiving
from attune_project.messaging.receiving import Receiver
from attune_project.messaging.topology import ENFORCEMENT_CREATED


class Consumer:
    """As much of Celery's consumer as a receiver needs: its loop, turned by hand."""

    connection_errors = (ConnectionResetError,)

    def __init__(self):
        self.soon = []

    def call_soon(self, callback):
        self.soon.append(callback)

    def turn(self):
        soon, self.soon = self.soon, []
        for callback in soon:
            callback()


@pytest.fixture
def consumer():
    return Consumer()


@pytest.fixture
def handled(monkeypatch):
    """What was handed to the step, call by call; `handled.refusals` is its answer, by the ids."""
    calls = SimpleNamespace(ids=[], refusals={})

    def handle(message, came):
        calls.ids.append([one.ids for one in came])
        return [calls.refusals.get(tuple(one.ids)) for one in came]

    monkeypatch.setattr(receiving, "handle", handle)
    return calls


def message(*ids):
    return SimpleNamespace(
        payload=[[], {"enforcement_ids": list(ids)}, {}],
        headers={},
        delivery_info={"exchange": "attune.executions", "routing_key": "enforcement.created"},
    )


class Answers:
    def __init__(self):
        self.given = []

    def ack(self, logger, errors):
        self.given.append("ack")

    def reject(self, logger, errors, requeue):
        self.given.append("again" if requeue else "refused")


def take(receiver, came):
    answers = Answers()
    receiver.take(came, None, answers.ack, answers.reject, ())
    return answers


def test_what_was_read_together_is_one_call(consumer, handled):
    receiver = Receiver(ENFORCEMENT_CREATED, consumer)

    answers = [take(receiver, message(1)), take(receiver, message(2, 3))]
    consumer.turn()

    assert handled.ids == [[[1], [2, 3]]]
    assert [one.given for one in answers] == [["ack"], ["ack"]]


def test_nothing_is_answered_before_its_step_is_done(consumer, handled):
    answers = take(Receiver(ENFORCEMENT_CREATED, consumer), message(1))

    assert (handled.ids, answers.given) == ([], [])


def test_what_comes_later_is_a_call_of_its_own(consumer, handled):
    receiver = Receiver(ENFORCEMENT_CREATED, consumer)

    for row_id in (1, 2):
        take(receiver, message(row_id))
        consumer.turn()

    assert handled.ids == [[[1]], [[2]]]


def test_each_is_answered_by_its_own_outcome(consumer, handled):
    receiver = Receiver(ENFORCEMENT_CREATED, consumer)
    handled.refusals = {(2,): Reject("it fails", requeue=True), (3,): Reject("a stray", requeue=False)}

    answers = [take(receiver, message(row_id)) for row_id in (1, 2, 3)]
    consumer.turn()

    assert [one.given for one in answers] == [["ack"], ["again"], ["refused"]]


@pytest.mark.parametrize("payload", [None, 7, [], [[], None, {}], [[], {"enforcement_ids": 7}, {}]])
def test_what_is_no_call_of_the_task_is_refused_by_the_consumer(consumer, handled, payload):
    receiver, came = Receiver(ENFORCEMENT_CREATED, consumer), message(1)
    came.payload = payload

    with pytest.raises(InvalidTaskError):
        take(receiver, came)
    consumer.turn()

    assert handled.ids == []


def test_a_message_may_carry_no_ids(consumer, handled):
    came = message()
    came.payload = [[], {}, {}]

    answers = take(Receiver(ENFORCEMENT_CREATED, consumer), came)
    consumer.turn()

    assert (handled.ids, answers.given) == ([[[]]], ["ack"])
