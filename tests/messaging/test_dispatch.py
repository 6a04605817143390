"""What a consumer does with a message that is its own, a probe, misrouted, or failing."""

from types import SimpleNamespace

import pytest
from celery.exceptions import Reject
from django.db import OperationalError

from attune_project.messaging import counts, dispatch, steps
from attune_project.messaging.delivery import Delivery
from attune_project.messaging.models import DeadLetter, MessageProbe, StepFailure
from attune_project.messaging.topology import ENFORCEMENT_CREATED, EXECUTION_REQUESTED


def request(exchange="attune.executions", key="enforcement.created", **headers):
    return SimpleNamespace(
        headers={"trace_id": "t", **headers}, delivery_info={"exchange": exchange, "routing_key": key}
    )


@pytest.fixture
def executor(monkeypatch):
    monkeypatch.setenv("ATTUNE_SERVICE", "executor")


@pytest.fixture
def counted(monkeypatch):
    seen = []

    def add(name, label, outcome, amount=1):
        seen.extend([(name, label, outcome)] * amount)

    monkeypatch.setattr(counts, "add", add)
    return seen


def verb(monkeypatch, function):
    step = steps.of_message(ENFORCEMENT_CREATED)
    monkeypatch.setitem(
        steps._steps, step.name, steps.OwedStep(**{**step.__dict__, "verb": function, "only": None})
    )


def test_a_message_runs_its_step(executor, counted, monkeypatch):
    calls = []
    verb(monkeypatch, lambda limit: calls.append(limit) or 0)

    dispatch.dispatch(ENFORCEMENT_CREATED, request(), [1])

    assert calls == [steps.BATCH]
    assert counted == [("consumed", "attune.executions.queue", "ok")]


@pytest.mark.parametrize(
    "wrong", [{"exchange": "attune.events"}, {"key": "event.created"}, {"key": "enforcement.created.gpu"}]
)
def test_a_message_that_came_by_a_wrong_way_is_refused(executor, counted, wrong, settings):
    settings.BROKER_URL = "amqp://localhost//"

    with pytest.raises(Reject) as refused:
        dispatch.dispatch(ENFORCEMENT_CREATED, request(**wrong), [1])

    assert refused.value.requeue is False
    assert counted == [("consumed", "attune.executions.queue", "misrouted")]


def test_a_message_in_the_wrong_service_is_refused(monkeypatch, counted, settings):
    settings.BROKER_URL = "amqp://localhost//"
    monkeypatch.setenv("ATTUNE_SERVICE", "sensor")

    with pytest.raises(Reject, match="to sensor"):
        dispatch.dispatch(ENFORCEMENT_CREATED, request(), [1])


def test_a_pool_s_message_is_taken_by_its_worker(monkeypatch, counted):
    monkeypatch.setenv("ATTUNE_SERVICE", "worker")
    step = steps.of_message(EXECUTION_REQUESTED)
    monkeypatch.setitem(steps._steps, step.name, steps.OwedStep(**{**step.__dict__, "verb": lambda limit: 0}))

    dispatch.dispatch(EXECUTION_REQUESTED, request(key="execution.requested.gpu"), [1])

    assert counted == [("consumed", "attune.execution.requests.queue", "ok")]


@pytest.mark.django_db
def test_a_probe_touches_its_row_and_no_step(executor, monkeypatch):
    verb(monkeypatch, lambda limit: pytest.fail("a probe owes no work"))
    MessageProbe.objects.create(
        message_type="EnforcementCreated", routing_key="enforcement.created", service="sensor",
        sent_at="2026-01-01T00:00:00Z",
    )  # fmt: skip

    dispatch.dispatch(ENFORCEMENT_CREATED, request(probe="sensor"), [])

    assert MessageProbe.objects.get().answered_at is not None


def test_a_lost_database_is_left_to_the_polls(executor, counted, monkeypatch):
    def fail(limit):
        raise OperationalError("server closed the connection")

    verb(monkeypatch, fail)

    dispatch.dispatch(ENFORCEMENT_CREATED, request(), [1])

    assert counted == [("consumed", "attune.executions.queue", "error")]


def test_a_connection_that_died_while_it_idled_loses_no_ring(executor, counted, monkeypatch):
    outcomes = [OperationalError("server closed the connection"), 0]

    def fail_once(limit):
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    verb(monkeypatch, fail_once)

    dispatch.dispatch(ENFORCEMENT_CREATED, request(), [1])

    assert counted == [("consumed", "attune.executions.queue", "ok")]


@pytest.mark.django_db
def test_a_failing_step_is_redelivered_by_rabbitmq_and_counted_there(
    executor, counted, monkeypatch, settings
):
    settings.BROKER_URL = "amqp://localhost//"

    def fail(limit):
        raise ValueError("poison")

    verb(monkeypatch, fail)

    with pytest.raises(Reject) as rejected:
        dispatch.dispatch(ENFORCEMENT_CREATED, request(), [1])
    assert rejected.value.requeue is True


def test_a_long_backlog_gives_other_queues_their_turn(executor, counted, monkeypatch, fake_publisher):
    monkeypatch.setattr(steps, "work", lambda step: (500, True))

    dispatch.dispatch(ENFORCEMENT_CREATED, request(), [1, 2])

    assert fake_publisher.rung(ENFORCEMENT_CREATED) == [1]


def test_messages_that_came_together_run_their_step_once(executor, counted, monkeypatch):
    steps_run = []
    monkeypatch.setattr(steps, "work", lambda step: steps_run.append(step) or (0, False))
    deliveries = [Delivery(request().headers, request().delivery_info, [n]) for n in (1, 2, 3)]

    assert dispatch.handle(ENFORCEMENT_CREATED, deliveries) == [None, None, None]

    assert len(steps_run) == 1
    assert counted == [("consumed", "attune.executions.queue", "ok")] * 3


@pytest.mark.django_db
def test_each_of_them_is_judged_for_itself(executor, counted, monkeypatch, settings):
    settings.BROKER_URL = "amqp://localhost//"
    monkeypatch.setattr(dispatch, "_answer", lambda message, key, service: None)

    def fail(step):
        raise ValueError("poison")

    monkeypatch.setattr(steps, "work", fail)
    came = [request(), request(exchange="attune.events"), request(probe="sensor")]

    ring, stray, probe = dispatch.handle(
        ENFORCEMENT_CREATED, [Delivery(one.headers, one.delivery_info, [1]) for one in came]
    )

    assert (ring.requeue, stray.requeue, probe) == (True, False, None)


def test_a_probe_that_cannot_be_answered_ends_nothing(executor, monkeypatch):
    def fail(key, service):
        raise RuntimeError("no such table")

    monkeypatch.setattr(dispatch.probes, "answer", fail)

    dispatch.dispatch(ENFORCEMENT_CREATED, request(probe="sensor"), [])


@pytest.mark.django_db
def test_without_a_dead_letter_exchange_a_misrouted_message_is_kept_at_once(executor, counted):
    with pytest.raises(Reject):
        dispatch.dispatch(ENFORCEMENT_CREATED, request(key="event.created", message_id="m"), [7])

    letter = DeadLetter.objects.get()
    assert (letter.message_id, letter.reason, letter.routing_key) == ("m", "misrouted", "event.created")


@pytest.mark.django_db
def test_without_a_broker_that_counts_a_failing_message_is_counted_here(executor, counted, monkeypatch):
    monkeypatch.setattr(dispatch.connections, "close_all", lambda: None)  # a test's connection is kept

    def fail(limit):
        raise ValueError("poison")

    verb(monkeypatch, fail)
    for _ in range(4):
        with pytest.raises(Reject) as rejected:
            dispatch.dispatch(ENFORCEMENT_CREATED, request(message_id="m"), [1])
        assert rejected.value.requeue is True
    assert not DeadLetter.objects.exists()

    dispatch.dispatch(ENFORCEMENT_CREATED, request(message_id="m"), [1])

    letter = DeadLetter.objects.get()
    assert (letter.message_id, letter.reason, letter.body) == (
        "m", "step_failed", '[[], {"enforcement_ids": [1]}, {}]',
    )  # fmt: skip
    assert "ValueError: poison" in letter.detail
    assert not StepFailure.objects.exists()


@pytest.mark.django_db
def test_without_a_broker_that_counts_a_message_that_kills_is_counted_before(executor, counted, monkeypatch):
    class Killed(BaseException):
        pass

    def die(limit):
        raise Killed

    verb(monkeypatch, die)
    again = request(message_id="m")
    again.delivery_info["redelivered"] = True
    deaths = 0
    while not DeadLetter.objects.exists():
        assert deaths < 10
        try:
            dispatch.dispatch(ENFORCEMENT_CREATED, again, [1])
        except Killed:
            deaths += 1

    assert deaths == 5
    assert DeadLetter.objects.get().reason == "process_died"


@pytest.mark.django_db
def test_a_message_that_came_again_and_is_done_is_forgotten(executor, counted, monkeypatch):
    verb(monkeypatch, lambda limit: 0)
    again = request(message_id="m")
    again.delivery_info["redelivered"] = True

    dispatch.dispatch(ENFORCEMENT_CREATED, again, [1])

    assert not StepFailure.objects.exists()
