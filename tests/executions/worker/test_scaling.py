"""How many process slots a worker has, between its bounds."""

import pytest

from executions.worker import process as worker_process
from executions.worker.scaling import CALM_SECONDS, OVERLOAD, Bounds, Scaling, load_per_core, resident_mb

IDLE = 0.1


@pytest.fixture
def scaling():
    return Scaling(Bounds(2, 4))


def test_it_grows_while_work_waits(scaling):
    assert [scaling.wanted(size, size, True, IDLE, 0) for size in (2, 3, 4)] == [3, 4, 4]


@pytest.mark.parametrize(("waiting", "load"), [(False, IDLE), (True, OVERLOAD)])
def test_it_does_not_grow_for_nothing_nor_on_a_host_that_has_enough_to_do(scaling, waiting, load):
    assert scaling.wanted(2, 2, waiting, load, 0) == 2


def test_after_a_calm_time_it_gives_up_one_at_a_time(scaling):
    scaling.wanted(4, 4, False, IDLE, 1000)

    assert scaling.wanted(4, 1, False, IDLE, 1000 + CALM_SECONDS / 2) == 4
    assert scaling.wanted(4, 1, False, IDLE, 1000 + CALM_SECONDS) == 3
    assert scaling.wanted(3, 1, False, IDLE, 1001 + CALM_SECONDS) == 3
    assert scaling.wanted(3, 0, False, IDLE, 1001 + 2 * CALM_SECONDS) == 2
    assert scaling.wanted(2, 0, False, IDLE, 1001 + 4 * CALM_SECONDS) == 2


def test_the_host_is_measured():
    assert load_per_core() >= 0
    assert 5 < resident_mb() < 100_000


@pytest.mark.django_db(transaction=True)
def test_a_worker_grows_and_says_so(make_worker, execute_script, statuses, wait_for, monkeypatch):
    from attune_project.packs.models import Worker

    monkeypatch.setattr(worker_process, "load_per_core", lambda: IDLE)
    worker = make_worker(Bounds(1, 3))
    execute_script(4, "sleep 600")
    worker.take(500)
    assert statuses().count("running") == 1

    for _ in range(5):
        worker.adapt()
    worker.heartbeat()

    assert statuses() == ["running"] * 3 + ["scheduled"]
    assert Worker.objects.get(pk=worker.worker_id).capabilities["slots"] == 3
