"""Two kinds of slots: what waits inside the worker never keeps a program waiting, nor the other way."""

import time

import pytest

from attune_project.messaging import steps
from attune_project.messaging.topology import EXECUTION_REQUESTED
from executions.worker import process as worker_process

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_hundred_sleeps_keep_no_program_waiting(
    make_worker, execute_sleep, execute_script, statuses, wait_for
):
    worker = make_worker()
    execute_sleep(100)
    execute_script()

    worker.take(500)

    assert wait_for(lambda: statuses()[-1] == "completed")
    assert statuses().count("running") == 2


def test_programs_keep_no_sleep_waiting(make_worker, execute_sleep, execute_script, statuses, wait_for):
    worker = make_worker()
    execute_script(4, "sleep 600")
    worker.take(500)
    execute_sleep(seconds=0.01)

    worker.work_while_full()

    assert wait_for(lambda: statuses()[-1] == "completed")
    assert statuses()[:4] == ["running", "running", "scheduled", "scheduled"]


def test_alone_in_its_pool_a_full_worker_goes_on_consuming_and_rings_for_nobody(
    make_worker, execute_script, monkeypatch, fake_publisher
):
    said = []
    monkeypatch.setattr(worker_process.consuming, "pause", lambda: said.append("pause"))
    worker = make_worker()
    execute_script(4, "sleep 600")
    fake_publisher.clear()

    worker.take(500)

    assert (said, worker.slots.full) == ([], True)
    assert fake_publisher.rung(EXECUTION_REQUESTED) == []


def test_with_others_it_leaves_the_messages_to_them(make_worker, execute_script, monkeypatch):
    said = []
    worker, _ = make_worker(), make_worker()
    worker.heartbeat()
    monkeypatch.setattr(worker_process.consuming, "pause", lambda: said.append("pause"))
    execute_script(2, "sleep 600")

    worker.take(500)

    assert said[-1:] == ["pause"]


@pytest.mark.parametrize("other", [{"cordoned": True}, {"status": "inactive"}, {"pool": "gpu"}])
def test_who_takes_nothing_here_is_no_other(make_worker, other):
    worker, second = make_worker(), make_worker()
    for name, value in other.items():
        setattr(second._row, name, value)
    second._row.save()

    worker.heartbeat()

    assert not worker.others


def test_runs_that_end_together_are_stored_together(
    make_worker, execute_sleep, statuses, wait_for, monkeypatch
):
    from executions import lifecycle

    worker, batches, finish = make_worker(inside=8), [], lifecycle.finish

    def slowly(ended):
        batches.append(len(ended))
        time.sleep(0.2)
        return finish(ended)

    monkeypatch.setattr(lifecycle, "finish", slowly)
    execute_sleep(8, seconds=0.05)

    worker.take(500)

    assert wait_for(lambda: statuses() == ["completed"] * 8)
    assert sum(batches) == 8
    assert len(batches) < 8


def test_a_slot_uses_its_thread_again(make_worker, execute_sleep, statuses, wait_for):
    worker = make_worker(inside=1)
    execute_sleep(5, seconds=0.01)

    worker.take(500)

    assert wait_for(lambda: statuses() == ["completed"] * 5)
    assert len(worker.slots._threads._started) <= 2


def test_what_waits_while_every_slot_is_taken_is_behind_not_lost(make_worker, execute_script):
    worker = make_worker()
    execute_script(3, "sleep 600")
    steps._noted.clear()

    worker.take(500)

    assert steps.is_behind("run", 5)
