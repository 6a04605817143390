"""A worker that drains takes nothing more, finishes what it runs, and ends."""

import pytest

from attune_project.messaging.topology import EXECUTION_REQUESTED
from attune_project.packs import workers
from attune_project.packs.models import Worker
from executions import lifecycle
from executions.models import Execution
from executions.worker import process as worker_process

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def left(monkeypatch):
    """The times that a worker asked its process to end."""
    times = []
    monkeypatch.setattr(worker_process, "_ask_to_stop", lambda: times.append(1))
    return times


def test_a_drained_worker_ends_once_what_it_runs_has_ended(
    left, make_worker, execute_sleep, statuses, wait_for
):
    worker = make_worker()
    execute_sleep(2, seconds=0.5)
    worker.take(500)
    execute_sleep()

    workers.drain(worker._row, by=None)
    worker.heartbeat()
    assert left == []

    assert wait_for(lambda: worker.slots.idle)
    worker.heartbeat()

    assert left == [1]
    assert worker.take(500) == 0
    assert statuses() == ["completed", "completed", "scheduled"]
    assert Worker.objects.get(pk=worker.worker_id).meta["draining"] is True


def test_what_comes_to_a_draining_worker_is_rung_again_for_the_others(
    left, make_worker, execute_sleep, fake_publisher
):
    worker, _ = make_worker(), make_worker()
    worker.heartbeat()
    worker.drain("for a test")
    ids = execute_sleep(2)
    fake_publisher.clear()

    worker.take(500)

    assert fake_publisher.rung(EXECUTION_REQUESTED) == ids


def test_a_worker_that_uses_too_much_memory_drains(left, make_worker, settings):
    settings.ATTUNE_WORKER_MAX_RSS_MB = 1
    worker = make_worker()

    worker.heartbeat()

    assert (left, worker.draining) == ([1], True)


def test_without_a_bound_it_never_does(left, make_worker, settings):
    settings.ATTUNE_WORKER_MAX_RSS_MB = 0
    worker = make_worker()

    worker.heartbeat()

    assert (left, worker.draining) == ([], False)


def test_a_worker_that_is_uncordoned_works_at_once(make_worker, execute, statuses):
    worker = make_worker()
    workers.cordon(worker._row, by=None)
    worker.heartbeat()
    execute()
    assert worker.take(500) == 0

    workers.uncordon(worker._row)
    worker.heartbeat()

    assert statuses() == ["completed"]


def test_what_a_stopping_worker_cannot_finish_is_tried_again_or_abandoned(
    make_worker, execute, statuses, settings
):
    settings.ATTUNE_DRAIN_SECONDS = 0
    worker = make_worker()
    for idempotent in (True, False):
        execute(parameters={"seconds": 600}, entrypoint="sleep", idempotent=idempotent)
    worker.take(500)

    worker.stop()

    assert lifecycle.expire(10) == 2
    assert statuses() == ["requested", "abandoned"]
    assert Execution.objects.order_by("pk").last().result["original_status"] == "running"
