"""Messages as Celery's consumer hands them over: read on, one call of the step, an answer to each."""

import json
from types import SimpleNamespace

import pytest
from celery.exceptions import InvalidTaskError, Reject

from attune_project.messaging import reading, receiving
from attune_project.messaging.pace import LONGEST_SECONDS
from attune_project.messaging.receiving import Receiver
from attune_project.messaging.topology import ENFORCEMENT_CREATED


class Consumer:
    """As much of Celery's consumer and its hub as a receiver needs: a loop and a clock, turned by hand."""

    connection_errors = (ConnectionResetError,)
    initial_prefetch_count = 16

    def __init__(self):
        self.now = 1000.0
        self.soon = []
        self.later = []
        self.hub = self

    def call_soon(self, callback):
        self.soon.append(callback)

    def call_later(self, delay, callback):
        self.later.append((self.now + delay, callback))

    def turn(self):
        soon, self.soon = self.soon, []
        for callback in soon:
            callback()

    def wait(self, seconds):
        """Let time pass, and call what is due then."""
        self.now += seconds
        due = [one for one in self.later if one[0] <= self.now]
        self.later = [one for one in self.later if one[0] > self.now]
        for _, callback in due:
            callback()


@pytest.fixture
def consumer(monkeypatch):
    consumer = Consumer()
    monkeypatch.setattr(receiving, "time", SimpleNamespace(monotonic=lambda: consumer.now))
    return consumer


@pytest.fixture
def handled(monkeypatch, consumer):
    """What was handed to the step, call by call; `handled.refusals` is its answer, by the ids.

    A call takes `handled.seconds`.
    """
    calls = SimpleNamespace(ids=[], refusals={}, seconds=1.0)

    def handle(message, came):
        consumer.now += calls.seconds
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


MANY = list(range(1, 501))


@pytest.fixture
def resting(consumer, handled):
    """A receiver whose step has just dealt with many rows."""
    receiver = Receiver(ENFORCEMENT_CREATED, consumer)
    take(receiver, message(*MANY))
    consumer.turn()
    handled.ids.clear()
    return receiver


def test_what_comes_while_a_step_rests_is_one_call_at_the_end_of_it(resting, consumer, handled):
    answers = []
    for row_id in (501, 502):
        answers.append(take(resting, message(row_id)))
        consumer.turn()
        consumer.wait(LONGEST_SECONDS / 4)

    assert (handled.ids, [one.given for one in answers]) == ([], [[], []])

    consumer.wait(LONGEST_SECONDS)
    consumer.turn()

    assert handled.ids == [[[501], [502]]]
    assert [one.given for one in answers] == [["ack"], ["ack"]]


def test_what_comes_after_the_rest_waits_for_nothing(resting, consumer, handled):
    consumer.wait(LONGEST_SECONDS)

    take(resting, message(501))
    consumer.turn()

    assert handled.ids == [[[501]]]


def test_a_step_rests_no_longer_than_in_proportion_to_its_work(consumer, handled):
    handled.seconds = LONGEST_SECONDS / 100
    receiver = Receiver(ENFORCEMENT_CREATED, consumer)
    take(receiver, message(*MANY))
    consumer.turn()

    consumer.wait(LONGEST_SECONDS / 10)
    take(receiver, message(501))
    consumer.turn()

    assert handled.ids == [[MANY], [[501]]]


def test_no_step_rests_once_the_broker_gives_no_more(resting, consumer, handled):
    answers = [take(resting, message(row_id)) for row_id in range(consumer.initial_prefetch_count)]
    consumer.turn()

    assert [one.given for one in answers] == [["ack"]] * consumer.initial_prefetch_count
    consumer.wait(1)
    assert len(handled.ids) == 1


def test_without_a_hub_nothing_waits(consumer, handled):
    consumer.hub = None
    receiver = Receiver(ENFORCEMENT_CREATED, consumer)

    for row_id in (1, 2):
        take(receiver, message(*MANY, row_id))
        consumer.turn()

    assert len(handled.ids) == 2


def test_a_step_that_failed_is_called_again_for_the_next(resting, consumer, handled):
    handled.refusals = {(501,): Reject("it fails", requeue=True)}
    answers = []
    for row_id in (501, 502):
        answers.append(take(resting, message(row_id)))
        consumer.wait(LONGEST_SECONDS)
        consumer.turn()

    assert handled.ids == [[[501]], [[502]]]
    assert [one.given for one in answers] == [["again"], ["ack"]]


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


def test_what_a_newer_release_says_beside_its_ids_is_no_fault():
    body = json.dumps([[], {"enforcement_ids": [1], "urgency": 3}, {}])

    found = reading.read({"task": ENFORCEMENT_CREATED.task}, body)

    assert found == reading.Understood(ENFORCEMENT_CREATED, [1], False)
