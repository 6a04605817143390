"""Every change of an execution's status is compare-and-set, under a lease, in order of time."""

import json
import uuid

import pytest
from django.db import connection, transaction

from attune_project.messaging.topology import (
    EXECUTION_COMPLETED,
    EXECUTION_REQUESTED,
    EXECUTION_STATUS_CHANGED,
)
from attune_project.packs.models import Worker
from executions import lifecycle
from executions.lifecycle import Claimant, Ended
from executions.models import Attempt, Execution
from executions.requesting import Wanted, request_executions
from sensors.models import Event, Trigger

pytestmark = pytest.mark.django_db
INSTANT = ["core.echo", "echo"]


@pytest.fixture
def worker(db):
    return Worker.objects.create(name=f"w-{uuid.uuid4().hex[:6]}", capabilities={"labels": {}})


@pytest.fixture
def request_one(make_action):
    def make(parameters=None, **action):
        one = make_action(f"demo.a{uuid.uuid4().hex[:6]}", **action)
        made = request_executions([Wanted(one, parameters or {}, uuid.uuid4())])
        return Execution.objects.get(pk=made[0])

    return make


def claim(worker, limit=10, inline=True, pool=None):
    return lifecycle.claim(Claimant(worker.pk, pool), limit, INSTANT, inline=inline)


def end(claimed, status="completed", result=None, token=None):
    return lifecycle.finish([Ended(claimed.id, token or claimed.token, status, result or {"exit_code": 0})])


def lapse(execution):
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE execution SET lease_expires_at = now() - interval '1 s' WHERE id = %s", [execution.pk]
        )


@pytest.mark.django_db(transaction=True)
def test_nobody_waits_for_the_settling_of_what_no_policy_concerns(fake_publisher):
    with transaction.atomic():
        lifecycle.announce([(1, "completed", None, None), (2, "failed", None, None)])

    assert [letter.lazy for letter in fake_publisher.letters] == [True, True]


@pytest.mark.django_db(transaction=True)
def test_the_settling_that_lets_others_start_is_rung_at_once(fake_publisher):
    with transaction.atomic():
        lifecycle.announce([(1, "completed", None, None), (2, "failed", None, 7)])

    lazy = {letter.message: letter.lazy for letter in fake_publisher.letters}
    assert lazy == {EXECUTION_COMPLETED: False, EXECUTION_STATUS_CHANGED: True}


def test_a_claim_is_running_under_a_lease_with_an_attempt(worker, request_one):
    execution = request_one({"message": "x"})

    (claimed,) = claim(worker)

    execution.refresh_from_db()
    assert (execution.status, execution.worker_id, execution.lease_token) == (
        "running",
        worker.pk,
        claimed.token,
    )
    assert execution.started_at >= execution.scheduled_at
    assert claimed.config == {"message": "x"}
    assert Attempt.objects.get(execution=execution).number == 1


def test_what_is_claimed_is_not_claimed_again(worker, request_one):
    request_one()

    assert len(claim(worker)) == 1
    assert claim(worker) == []


def test_instant_actions_and_those_that_need_a_slot_are_claimed_apart(worker, request_one):
    instant, slotted = request_one(), request_one(entrypoint="sleep")

    assert [one.id for one in claim(worker, inline=False)] == [slotted.pk]
    assert [one.id for one in claim(worker, inline=True)] == [instant.pk]


def test_a_claim_is_the_oldest_first_and_no_more_than_asked(worker, request_one):
    executions = [request_one() for _ in range(3)]

    assert [one.id for one in claim(worker, limit=2)] == [executions[0].pk, executions[1].pk]


def test_a_pool_s_work_is_for_its_workers_only(worker, request_one):
    execution = request_one(worker_pool="gpu")

    assert claim(worker) == []
    assert [one.id for one in claim(worker, pool="gpu")] == [execution.pk]


def test_a_selector_wants_every_label(worker, request_one):
    request_one(worker_selector={"disk": "ssd", "zone": "a"})

    some = Claimant(worker.pk, None, json.dumps({"disk": "ssd"}))
    both = Claimant(worker.pk, None, json.dumps({"disk": "ssd", "zone": "a", "gpu": "no"}))
    assert lifecycle.claim(some, 9, INSTANT, inline=True) == []
    assert len(lifecycle.claim(both, 9, INSTANT, inline=True)) == 1


def test_a_cordoned_worker_takes_nothing(worker, request_one):
    request_one()
    Worker.objects.update(cordoned=True)

    assert claim(worker) == []


def test_a_result_is_taken_under_its_lease_only(worker, request_one):
    execution = request_one()
    (claimed,) = claim(worker)

    assert end(claimed, token=uuid.uuid4()) == []
    assert end(claimed, result={"stdout": "hi"}) == [execution.pk]
    assert end(claimed, "failed") == []

    execution.refresh_from_db()
    assert (execution.status, execution.result, execution.lease_token) == (
        "completed",
        {"stdout": "hi"},
        None,
    )
    assert execution.finished_at >= execution.started_at
    attempt = Attempt.objects.get()
    assert (attempt.status, attempt.finished_at is not None) == ("completed", True)


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled", "timeout"])
def test_an_end_rings_the_executor_and_the_notifier(worker, request_one, status, fake_publisher):
    request_one()
    (claimed,) = claim(worker)
    fake_publisher.clear()

    with_commit(lambda: end(claimed, status))

    assert fake_publisher.rung(EXECUTION_COMPLETED) == [claimed.id]
    assert fake_publisher.rung(EXECUTION_STATUS_CHANGED) == [claimed.id]


def with_commit(action):
    """Run the on-commit hooks of an action, as a commit would."""
    from django.test import TestCase

    with TestCase.captureOnCommitCallbacks(execute=True):
        return action()


def test_a_failed_attempt_with_retries_left_is_due_later(worker, request_one):
    execution = request_one(max_retries=1)
    (first,) = claim(worker)

    end(first, "failed", {"error": "x"})

    execution.refresh_from_db()
    assert (execution.status, execution.retry_count, execution.retry_reason) == (
        "requested",
        1,
        "transient_error",
    )
    assert execution.due_at > execution.updated
    assert (execution.scheduled_at, execution.started_at, execution.finished_at) == (None, None, None)
    assert execution.status_reason == "waiting to be tried again (1 of 1)"
    assert Attempt.objects.get().result == {"error": "x"}


def test_the_last_attempt_s_end_is_terminal(worker, request_one):
    execution = request_one(max_retries=1)
    for _ in range(2):
        Execution.objects.filter(status="requested").update(due_at=execution.created)
        lifecycle.admit(10)
        (claimed,) = claim(worker)
        end(claimed, "timeout")

    execution.refresh_from_db()
    assert (execution.status, execution.retry_reason) == ("timeout", "timeout")
    assert list(Attempt.objects.order_by("number").values_list("number", "status")) == [
        (1, "timeout"),
        (2, "timeout"),
    ]


def test_a_retry_is_admitted_when_it_is_due_and_not_before(worker, request_one):
    execution = request_one(max_retries=1)
    (claimed,) = claim(worker)
    end(claimed, "failed")

    assert lifecycle.admit(10) == 0
    Execution.objects.update(due_at=execution.created)
    assert lifecycle.admit(10) == 1

    execution.refresh_from_db()
    assert (execution.status, execution.due_at) == ("scheduled", None)


def test_a_completed_attempt_is_never_retried(worker, request_one):
    execution = request_one(max_retries=3)
    (claimed,) = claim(worker)

    end(claimed, "completed")

    execution.refresh_from_db()
    assert execution.status == "completed"


def test_cancel_before_the_start_ends_at_once(request_one):
    execution = request_one()

    assert lifecycle.cancel(execution.pk) == "cancelled"

    execution.refresh_from_db()
    assert execution.result == {"error": "Cancelled before start"}
    assert execution.finished_at is not None


def test_cancel_of_a_running_one_asks_its_worker(worker, request_one):
    execution = request_one()
    (claimed,) = claim(worker)

    assert lifecycle.cancel(execution.pk) == "canceling"
    assert lifecycle.cancel(execution.pk) == "canceling"
    assert lifecycle.renew(worker.pk, [claimed.token]) == {claimed.token: "canceling"}
    assert end(claimed, "cancelled") == [execution.pk]


def test_cancel_of_an_ended_one_changes_nothing(worker, request_one):
    execution = request_one()
    (claimed,) = claim(worker)
    end(claimed)

    assert lifecycle.cancel(execution.pk) is None
    execution.refresh_from_db()
    assert execution.status == "completed"


@pytest.mark.parametrize("status", ["completed", "failed", "timeout", "cancelled"])
def test_what_was_being_cancelled_ends_cancelled_and_is_not_retried(worker, request_one, status):
    execution = request_one(max_retries=5)
    (claimed,) = claim(worker)
    lifecycle.cancel(execution.pk)

    end(claimed, status, {"exit_code": 0, "succeeded": status == "completed", "error": "x"})

    execution.refresh_from_db()
    assert (execution.status, execution.retry_count) == ("cancelled", 0)
    assert execution.result["succeeded"] is False
    assert Attempt.objects.get().status == status


def test_of_several_cancels_the_first_is_kept(worker, request_one):
    execution = request_one()
    claim(worker)

    lifecycle.cancel(execution.pk, 7, "too slow")
    lifecycle.cancel(execution.pk, 8, "me too")

    execution.refresh_from_db()
    assert (execution.cancelled_by_id, execution.cancel_reason) == (7, "too slow")


@pytest.fixture
def _alerts(db):
    Trigger.objects.create(ref="core.alert", label="Alert")


@pytest.mark.usefixtures("_alerts")
def test_a_lost_worker_s_execution_is_abandoned_with_an_alert(worker, request_one):
    execution = request_one()
    (claimed,) = claim(worker)
    lapse(execution)

    assert lifecycle.expire(10) == 1

    execution.refresh_from_db()
    assert execution.status == "abandoned"
    assert execution.result["original_status"] == "running"
    assert execution.result["worker"] == {"id": worker.pk, "name": worker.name, "cordoned": False}
    assert end(claimed) == [], "the worker that comes back changes nothing"
    alert = Event.objects.get(trigger_ref="core.alert")
    assert alert.payload["correlation_id"] == f"execution:{execution.pk}:worker_unavailable"
    assert alert.trace_id == execution.trace_id


@pytest.mark.usefixtures("_alerts")
def test_an_idempotent_one_is_attempted_again_so_many_times(worker, request_one):
    execution = request_one(idempotent=True, lost_worker_retries=2)
    ends = []
    for _ in range(3):
        lifecycle.admit(10)
        claim(worker)
        lapse(execution)
        lifecycle.expire(10)
        execution.refresh_from_db()
        ends.append((execution.status, execution.retry_reason, execution.retry_count))

    again = ("requested", "worker_unavailable", 0)
    assert ends == [again, again, ("abandoned", "worker_unavailable", 0)]
    assert Attempt.objects.filter(status="abandoned").count() == 3


@pytest.mark.usefixtures("_alerts")
def test_a_live_lease_is_left_alone(worker, request_one):
    request_one()
    claim(worker)

    assert lifecycle.expire(10) == 0


@pytest.mark.usefixtures("_alerts")
def test_what_a_stopping_worker_gives_back_is_treated_as_lost(worker, request_one):
    execution = request_one()
    claim(worker)

    assert lifecycle.release(worker.pk) == 1
    assert lifecycle.expire(10) == 1
    execution.refresh_from_db()
    assert execution.status == "abandoned"


def test_scheduled_for_long_with_no_live_worker_fails(request_one, settings):
    settings.ATTUNE_NO_WORKER_SECONDS = 1
    execution = request_one()
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE execution SET created = now() - interval '9 s', scheduled_at = now() - interval '9 s'"
        )

    assert lifecycle.fail_unplaceable(10) == 1

    execution.refresh_from_db()
    assert execution.status == "failed"
    assert execution.result["error"].startswith("no worker in pool default, for 1 s")


def test_waiting_for_a_busy_worker_never_fails(worker, request_one, settings):
    settings.ATTUNE_NO_WORKER_SECONDS = 1
    request_one()
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE execution SET created = now() - interval '9 s', scheduled_at = now() - interval '9 s'"
        )
        cursor.execute("UPDATE worker SET last_heartbeat = now(), status = 'busy'")

    assert lifecycle.fail_unplaceable(10) == 0


def test_a_worker_that_has_only_just_ended_may_have_a_successor(worker, request_one, settings):
    settings.ATTUNE_NO_WORKER_SECONDS = 60
    request_one()
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE execution SET created = now() - interval '90 s', scheduled_at = now() - interval '90 s'"
        )
        cursor.execute("UPDATE worker SET last_heartbeat = now() - interval '30 s', status = 'inactive'")

    assert lifecycle.fail_unplaceable(10) == 0


def test_settling_comes_once_after_the_end(worker, request_one):
    execution = request_one()
    (claimed,) = claim(worker)
    assert lifecycle.settle(10) == 0
    end(claimed)

    assert lifecycle.settle(10) == 1
    assert lifecycle.settle(10) == 0
    execution.refresh_from_db()
    assert execution.settled_at >= execution.finished_at


def test_a_scheduled_execution_rings_the_queue_of_its_pool(make_action, fake_publisher):
    action = make_action(worker_pool="gpu")

    (row_id,) = with_commit(lambda: request_executions([Wanted(action, {}, uuid.uuid4())]))

    letters = [letter for letter in fake_publisher.letters if letter.message == EXECUTION_REQUESTED]
    assert [(letter.ids, letter.pool) for letter in letters] == [([row_id], "gpu")]


def test_the_database_refuses_a_running_row_without_a_lease(request_one):
    execution = request_one()

    with pytest.raises(Exception, match="execution_lease_check"), transaction.atomic():
        Execution.objects.filter(pk=execution.pk).update(status="running")
