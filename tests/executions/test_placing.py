"""What is scheduled says what it waits for, and fails when nobody came who could run it."""

import uuid

import pytest
from django.db import connection
from django.db.models.functions import Now

from attune_project.messaging.topology import EXECUTION_REQUESTED
from attune_project.packs.models import Worker
from executions import lifecycle
from executions.lifecycle import placing
from executions.models import Execution
from executions.requesting import Wanted, request_executions

pytestmark = pytest.mark.django_db
HAS = {"labels": {}, "runtimes": ["core.builtin"], "versions": {"builtin": "1"}, "packs": {}}


@pytest.fixture
def make_worker(db):
    def make(**values):
        return Worker.objects.create(
            name=uuid.uuid4().hex, **{"capabilities": HAS, "last_heartbeat": Now(), **values}
        )

    return make


@pytest.fixture
def wait_for(make_action):
    """Schedule executions some time ago."""

    def make(count=1, seconds=9, selector=None, **action):
        row = make_action(f"demo.a{uuid.uuid4().hex[:8]}", **action)
        wanted = [Wanted(row, {}, uuid.uuid4(), worker_selector=selector) for _ in range(count)]
        ids = request_executions(wanted)
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE execution SET created = now() - make_interval(secs => %s),"
                " scheduled_at = now() - make_interval(secs => %s) WHERE id = ANY(%s)",
                [seconds, seconds, ids],
            )
        return ids

    return make


def reasons():
    return list(Execution.objects.order_by("pk").values_list("status_reason", flat=True))


def test_each_says_what_it_waits_for(make_worker, wait_for):
    make_worker()
    wait_for(worker_pool="gpu")
    wait_for(selector={"disk": "ssd"})
    wait_for(runtime_ref="core.python", entrypoint="a.py")
    wait_for(required_worker_runtimes={"node": ">=20"})

    assert lifecycle.explain_waiting(200) == 4

    assert reasons() == [
        "no worker in pool gpu",
        "no worker in pool default has the labels disk=ssd",
        "no worker in pool default offers python",
        "no worker in pool default offers node >=20",
    ]
    assert lifecycle.explain_waiting(200) == 0


def test_a_reason_that_has_gone_is_taken_back_and_rung_for(
    make_worker, wait_for, fake_publisher, django_capture_on_commit_callbacks
):
    ids = wait_for()
    lifecycle.explain_waiting(200)
    make_worker()

    with django_capture_on_commit_callbacks(execute=True):
        lifecycle.explain_waiting(200)

    assert reasons() == ["waiting for a worker in pool default"]
    assert fake_publisher.rung(EXECUTION_REQUESTED)[-1:] == ids


def test_a_backlog_is_not_written_again_only_to_say_that_workers_are_busy(make_worker, wait_for, monkeypatch):
    monkeypatch.setattr(placing, "MANY", 3)
    make_worker(status="busy")
    wait_for(3)
    wait_for(4)

    assert lifecycle.explain_waiting(200) == 3

    assert reasons()[2:4] == [
        "every worker in pool default that could run it is busy",
        "waiting for a worker in pool default",
    ]


def test_one_look_changes_so_many_and_no_more(wait_for):
    wait_for(5)

    assert [lifecycle.explain_waiting(2) for _ in range(4)] == [2, 2, 1, 0]


def test_what_has_only_just_been_scheduled_needs_no_explanation(wait_for):
    wait_for(seconds=0)

    assert lifecycle.explain_waiting(200) == 0


def test_what_nobody_offers_fails_in_the_end_with_the_reason(make_worker, wait_for, settings):
    settings.ATTUNE_NO_WORKER_SECONDS = 5
    make_worker()
    wait_for(required_worker_runtimes={"node": ">=20"})
    wait_for()

    assert lifecycle.fail_unplaceable(200) == 1

    first, second = Execution.objects.order_by("pk")
    assert (first.status, first.status_reason) == ("failed", None)
    assert first.result["error"] == "no worker in pool default offers node >=20, for 5 s"
    assert second.status == "scheduled"


@pytest.mark.parametrize("state", [{"cordoned": True}, {"status": "busy"}, {"status": "inactive"}])
def test_who_could_run_it_keeps_it_from_failing(make_worker, wait_for, settings, state):
    settings.ATTUNE_NO_WORKER_SECONDS = 5
    make_worker(**state)
    wait_for()

    assert lifecycle.fail_unplaceable(200) == 0


def test_a_pack_whose_files_no_host_has(make_worker, wait_for, pack):
    make_worker(capabilities={**HAS, "runtimes": ["core.shell"]})
    pack.storage_path = "/nowhere"
    pack.save()
    wait_for(runtime_ref="core.shell", entrypoint="true")

    ((group, why),) = lifecycle.unable(1)

    assert why.reason == "no worker in pool default has a copy of the pack demo 1.0.0"
    assert group.count == 1
