"""What ends at once is run in the transaction that takes it: all of it happened, or none."""

import uuid

import pytest
from django.db import DataError, connection

from attune_project.messaging.topology import EXECUTION_COMPLETED, EXECUTION_STATUS_CHANGED
from attune_project.packs.models import Worker
from executions import lifecycle
from executions.lifecycle import Claimant, Ended
from executions.models import Attempt, Execution
from executions.requesting import Wanted, request_executions

pytestmark = pytest.mark.django_db
INSTANT = ["core.echo", "echo"]
NOTHING = (0, 0)


@pytest.fixture
def worker(db):
    return Worker.objects.create(name=f"w-{uuid.uuid4().hex[:6]}", capabilities={"labels": {}})


@pytest.fixture
def request_some(make_action):
    def make(count=1, pool=None, **action):
        one = make_action(f"demo.a{uuid.uuid4().hex[:6]}", **action)
        return request_executions([Wanted(one, {}, uuid.uuid4(), worker_pool=pool) for _ in range(count)])

    return make


def succeed(claimed):
    return Ended(claimed.id, claimed.token, "completed", {"exit_code": 0})


def fail(claimed):
    return Ended(claimed.id, claimed.token, "failed", {"exit_code": 1})


def complete(worker, run=succeed, limit=10):
    done = lifecycle.complete(Claimant(worker.pk), limit, INSTANT, run)
    return done.count, done.left, done.more


def test_it_has_its_result_its_times_and_its_attempt(worker, request_some):
    [row_id] = request_some()

    done = complete(worker)

    row, attempt = Execution.objects.get(pk=row_id), Attempt.objects.get()
    assert done == (1, 0, False)
    assert (row.status, row.result, row.worker_id, row.status_reason) == (
        "completed", {"exit_code": 0}, worker.pk, None,
    )  # fmt: skip
    assert row.created <= row.scheduled_at <= row.started_at <= row.finished_at
    assert (attempt.number, attempt.status, attempt.worker_id) == (1, "completed", worker.pk)
    assert (attempt.started_at, attempt.finished_at) == (row.started_at, row.finished_at)


def test_its_end_is_rung(worker, request_some, fake_publisher, django_capture_on_commit_callbacks):
    ids = request_some(2)

    with django_capture_on_commit_callbacks(execute=True):
        complete(worker)

    assert fake_publisher.rung(EXECUTION_COMPLETED) == ids
    assert fake_publisher.rung(EXECUTION_STATUS_CHANGED) == ids


def test_what_fails_is_left_to_a_lease(worker, request_some):
    request_some(2)

    assert complete(worker, fail) == (0, 2, False)

    assert list(Execution.objects.values_list("status", "lease_token")) == [("scheduled", None)] * 2
    assert not Attempt.objects.exists()


def test_whoever_breaks_in_it_leaves_everything_as_it_was(worker, request_some):
    ids = request_some(2)

    def die_at_the_second(claimed):
        if claimed.id == ids[1]:
            raise KeyboardInterrupt
        return succeed(claimed)

    with pytest.raises(KeyboardInterrupt):
        complete(worker, die_at_the_second)

    assert set(Execution.objects.values_list("status", flat=True)) == {"scheduled"}


def test_a_result_that_the_database_refuses_is_raised_and_takes_nothing(worker, request_some):
    request_some()

    with pytest.raises(DataError):
        complete(worker, lambda one: Ended(one.id, one.token, "completed", {"stdout": "\0"}))

    assert Execution.objects.get().status == "scheduled"


@pytest.mark.parametrize("other", [{"entrypoint": "sleep"}, {"runtime_ref": "core.shell"}])
def test_it_tells_of_what_waits_for_a_slot(worker, request_some, other):
    request_some(**other)

    assert complete(worker) == (0, 0, True)


def test_it_tells_of_more_of_its_own_kind(worker, request_some):
    request_some(3)

    assert complete(worker, limit=2) == (2, 0, True)
    assert complete(worker, limit=2) == (1, 0, False)


def test_another_pool_is_none_of_its_business(worker, request_some):
    request_some(pool="gpu")

    assert complete(worker) == (*NOTHING, False)


def test_a_cordoned_worker_takes_nothing(worker, request_some):
    Worker.objects.filter(pk=worker.pk).update(cordoned=True)
    request_some()

    assert complete(worker) == (*NOTHING, True)


def test_an_attempt_that_was_lost_before_is_counted(worker, request_some):
    [row_id] = request_some()
    Attempt.objects.create(execution_id=row_id, number=1, status="abandoned")

    complete(worker)

    assert Attempt.objects.get(status="completed").number == 2


def test_the_oldest_that_is_meant_for_such_a_worker_comes_first(worker, request_some):
    ids = request_some(3)
    with connection.cursor() as cursor:
        cursor.execute('UPDATE execution SET worker_selector = \'{"zone": "b"}\' WHERE id = %s', [ids[0]])

    assert complete(worker, limit=1) == (1, 0, True)

    assert Execution.objects.get(status="completed").pk == ids[1]
