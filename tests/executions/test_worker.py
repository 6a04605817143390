"""A worker process: what it claims, when it stops to, and what it leaves behind."""

import time
import uuid

import pytest

from attune_project.messaging import steps
from attune_project.messaging.topology import EXECUTION_REQUESTED
from attune_project.packs.models import Worker
from executions.models import Execution
from executions.requesting import Wanted, request_executions
from executions.runners import NotAWorker, RunnerSettings
from executions.worker import jobs
from executions.worker.process import WorkerProcess
from executions.worker.scaling import Bounds

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def worker(db, worker_service):
    process = WorkerProcess(RunnerSettings(kill_grace=0.2), Bounds(2, 2), inside=2)
    yield process
    process.draining = True  # or a freed slot claims again
    process.slots.stop_all()
    process.slots.wait(60)
    process.slots.close()


@pytest.fixture
def request_sleep(make_action):
    action = make_action("demo.sleep", entrypoint="sleep")

    def make(count=1, seconds=0.05):
        return request_executions([Wanted(action, {"seconds": seconds}, uuid.uuid4()) for _ in range(count)])

    return make


def statuses():
    return list(Execution.objects.order_by("pk").values_list("status", flat=True))


def wait_for(condition, seconds=60):
    ends = time.monotonic() + seconds
    while not condition() and time.monotonic() < ends:
        time.sleep(0.02)
    return condition()


def test_instant_actions_are_run_in_bulk_in_place(worker, make_action):
    action = make_action()
    request_executions([Wanted(action, {"message": str(n)}, uuid.uuid4()) for n in range(5)])

    assert worker.take(500) == 5

    assert statuses() == ["completed"] * 5
    assert Execution.objects.first().result["stdout"] in "01234"


def test_slots_claim_again_as_they_are_freed(worker, request_sleep):
    request_sleep(5)

    worker.take(500)

    assert wait_for(lambda: statuses() == ["completed"] * 5)


def test_without_a_free_slot_the_rest_is_rung_for_others_and_is_no_repair(
    worker, request_sleep, fake_publisher
):
    ids = request_sleep(4, seconds=60)
    worker.others = True
    fake_publisher.clear()
    steps._noted.clear()

    worker.take(500)

    assert fake_publisher.rung(EXECUTION_REQUESTED) == ids[2:]
    assert steps.is_behind("run", 5)
    assert worker.slots.full


def test_what_needs_no_slot_does_not_wait_for_one(worker, request_sleep, make_action):
    request_sleep(2, seconds=60)
    worker.take(500)
    request_executions([Wanted(make_action(), {}, uuid.uuid4())])

    worker.work_while_full()

    assert statuses() == ["running", "running", "completed"]


def test_what_waits_for_a_worker_with_other_labels_is_no_repair(worker, make_action):
    action = make_action(worker_selector={"zone": "b"})
    request_executions([Wanted(action, {}, uuid.uuid4())])
    steps._noted.clear()

    assert worker.take(500) == 0

    assert steps.is_behind("run", 5)


def test_a_cancelled_action_is_stopped_at_the_next_heartbeat(worker, request_sleep):
    from executions import lifecycle

    (row_id,) = request_sleep(1, seconds=60)
    worker.take(500)
    lifecycle.cancel(row_id)

    worker.heartbeat()

    assert wait_for(lambda: statuses() == ["cancelled"])


def test_an_action_whose_lease_is_lost_is_stopped_and_its_result_dropped(worker, request_sleep):
    request_sleep(1, seconds=60)
    worker.take(500)
    Execution.objects.update(lease_token=uuid.uuid4())

    worker.heartbeat()

    assert wait_for(lambda: not worker.slots.busy)
    assert statuses() == ["running"]


def test_a_stopping_worker_waits_then_hands_back(worker, request_sleep, settings):
    settings.ATTUNE_DRAIN_SECONDS = 0.1
    request_sleep(1, seconds=60)
    worker.take(500)

    worker.stop()

    assert worker.take(500) == 0
    row = Execution.objects.get()
    assert row.status == "running"
    assert row.lease_expires_at <= row.updated or row.lease_expires_at is not None
    assert Worker.objects.get(pk=worker.worker_id).status == "inactive"
    assert not worker.slots.busy


def test_the_heartbeat_says_whether_slots_are_free(worker, request_sleep):
    worker.heartbeat()
    free = Worker.objects.get(pk=worker.worker_id).status
    request_sleep(2, seconds=60)
    worker.take(500)
    worker.heartbeat()

    assert (free, Worker.objects.get(pk=worker.worker_id).status) == ("active", "busy")


def test_an_action_that_is_gone_fails_and_says_so(worker, make_action):
    action = make_action()
    request_executions([Wanted(action, {}, uuid.uuid4())])
    action.delete()

    worker.take(500)

    assert wait_for(lambda: statuses() == ["failed"])
    assert "does not exist any more" in Execution.objects.get().result["error"]


def test_secret_parameters_are_masked_in_the_output(worker, make_action):
    schema = {"message": {"type": "string", "secret": True}}
    request_executions(
        [Wanted(make_action(param_schema=schema), {"message": "hunter2hunter2"}, uuid.uuid4())]
    )

    worker.take(500)

    assert Execution.objects.get().result["stdout"] == "********"


def test_secrets_within_maps_and_lists_are_masked_too(worker, make_action):
    schema = {
        "message": {"type": "string"},
        "login": {"type": "object", "properties": {"token": {"type": "string", "secret": True}}},
        "keys": {"type": "array", "items": {"type": "string", "secret": True}},
    }
    values = {
        "message": "a nested-one and a listed-one",
        "login": {"token": "nested-one"},
        "keys": ["listed-one"],
    }
    request_executions([Wanted(make_action(param_schema=schema), values, uuid.uuid4())])

    worker.take(500)

    assert Execution.objects.get().result["stdout"] == "a ******** and a ********"


@pytest.mark.parametrize(
    ("entrypoint", "runtime"),
    [
        ("run.py", "core.python"),
        ("run.sh", "core.shell"),
        ("run.mjs", "core.node"),
        ("echo a.b\nls x.py", "core.shell"),
    ],
)
def test_an_action_without_a_runtime_is_run_by_its_extension(entrypoint, runtime):
    from executions.runners import runtime_of

    assert runtime_of(entrypoint) == runtime


def test_action_code_in_any_process_but_a_worker_is_refused(make_action, monkeypatch):
    from executions import lifecycle
    from executions.runners import Control

    request_executions([Wanted(make_action(), {}, uuid.uuid4())])
    row = Worker.objects.create(name="w", capabilities={"labels": {}})
    (claimed,) = lifecycle.claim(lifecycle.Claimant(row.pk), 1, ["echo"], inline=True)
    monkeypatch.setenv("ATTUNE_SERVICE", "executor")

    with pytest.raises(NotAWorker):
        jobs.perform(claimed, Control(), RunnerSettings())
