"""Many executors, requesters and workers at once: slots hold exactly, and nobody is forgotten."""

import os
import random
import signal
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db import OperationalError, connection, connections, transaction
from psycopg.errors import LockNotAvailable

from attune_project.console.invariants import violations
from attune_project.packs.models import Pack
from executions import lifecycle
from executions.models import Action, Attempt, Execution, Policy, PolicySlot
from executions.policies.changes import delete_policy, locked_policy, save_policy
from executions.requesting import Wanted, request_executions
from tests.executions.policies.conftest import held, statuses, tick
from tests.executions.policies.crowd import Watcher, all_ended, crowd, execute, wait_until, worker

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def echo():
    pack = Pack.objects.create(ref="demo", label="Demo", version="1.0.0")
    return Action.objects.create(
        ref="demo.echo", pack=pack, pack_ref="demo", label="x", entrypoint="echo", runtime_ref="core.builtin"
    )


def policy(threshold, **values):
    return Policy.objects.create(ref=f"p-{uuid.uuid4().hex[:6]}", threshold=threshold, **values)


def request(action, count, groups=3, priorities=3):
    wanted = [
        Wanted(
            action, {"host": random.randrange(groups)}, uuid.uuid4(), priority=random.randrange(priorities)
        )
        for _ in range(count)
    ]
    return request_executions(wanted)


def broken():
    return {one.invariant.name: one.rows for one in violations(0)}


def test_no_group_ever_holds_more_than_its_threshold_and_everybody_runs(echo):
    policy(4, parameters=["host"])
    watcher = Watcher()

    with crowd() as members:
        for _ in range(2):
            members.add(execute)
            members.add(worker())
        for _ in range(3):
            members.add(lambda: [request(echo, size) for size in (1, 40, 1, 58)], again=False)
        members.add(watcher)
        wait_until(lambda: all_ended(300), members.problems)

    assert watcher.looks > 0
    assert watcher.most_over == 0
    assert set(Execution.objects.values_list("status", flat=True)) == {"completed"}
    assert Attempt.objects.count() == 300
    lifecycle.settle(500)
    assert (held(), broken()) == ([], {})


def test_changes_of_policies_meanwhile_lose_nobody(echo):
    policy(2, parameters=["host"])

    def change():
        with transaction.atomic():
            limit = locked_policy(Policy.objects.get().pk)
            limit.enabled = random.random() < 0.7
            limit.threshold = random.randrange(1, 5)
            limit.parameters = random.choice([[], ["host"]])
            save_policy(limit)

    def replace():
        with transaction.atomic():
            delete_policy(Policy.objects.get())
            policy(2, parameters=["host"])

    def meddle():
        random.choice([change, change, replace])()

    with crowd() as members:
        for _ in range(2):
            members.add(execute)
        members.add(worker())
        members.add(lambda: request(echo, 20), again=False)
        members.add(lambda: [request(echo, 10) for _ in range(8)], again=False)
        members.add(meddle)
        wait_until(lambda: all_ended(100), members.problems)

    tick()
    lifecycle.settle(500)
    assert (held(), broken()) == ([], {})


def refused_elsewhere(change):
    """Try a change on another connection, which waits for no lock; return what stood in its way."""

    def work():
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '100ms'")
            change()
        except OperationalError as problem:
            return problem.__cause__
        finally:
            connections.close_all()
        return None

    with ThreadPoolExecutor(1) as elsewhere:
        return elsewhere.submit(work).result(120)


def test_a_first_policy_waits_for_a_batch_that_none_concerned(echo):
    with transaction.atomic():
        request(echo, 3)

        assert isinstance(refused_elsewhere(lambda: policy(1)), LockNotAvailable)

    policy(1)
    tick()
    assert len(held()) == 3  # what was made before counts


def test_a_batch_that_began_before_a_policy_and_ends_after_it_obeys(echo):
    with ThreadPoolExecutor(1) as elsewhere:
        with transaction.atomic():
            policy(1)
            batch = elsewhere.submit(lambda: [request(echo, 3, groups=1), connections.close_all()])
            wait_until(_somebody_waits, [])
        batch.result(120)

    assert sorted(Execution.objects.values_list("status", flat=True)) == ["requested"] * 2 + ["scheduled"]


def _somebody_waits():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
            " WHERE d.datname = current_database() AND l.locktype = 'advisory' AND NOT l.granted"
        )
        return cursor.fetchone()[0] > 0


def test_cancels_meanwhile_leave_no_slot_behind(echo):
    policy(3)
    watcher = Watcher()

    def cancel():
        alive = list(Execution.objects.filter(finished_at=None).values_list("pk", flat=True)[:50])
        if alive:
            lifecycle.cancel(random.choice(alive))

    with crowd() as members:
        members.add(execute)
        members.add(execute)
        members.add(worker())
        members.add(cancel)
        members.add(watcher)
        members.add(lambda: [request(echo, 5) for _ in range(30)], again=False)
        wait_until(lambda: all_ended(150), members.problems)

    lifecycle.settle(500)
    assert watcher.most_over == 0
    assert (held(), broken()) == ([], {})


def test_coalescing_under_a_race_keeps_one_and_names_a_newer_one(echo):
    policy(1, method="coalesce")
    request(echo, 1)

    with crowd() as members:
        for _ in range(6):
            members.add(lambda: [request(echo, 1) for _ in range(5)], again=False)
        wait_until(lambda: Execution.objects.count() == 31, members.problems)

    waiting = Execution.objects.get(status="requested")
    assert waiting.pk == max(Execution.objects.values_list("pk", flat=True))
    cancelled = Execution.objects.filter(status="cancelled")
    assert cancelled.count() == 29
    for one in cancelled:
        assert int(one.result["error"].removeprefix("Coalesced into execution ")) > one.pk


def test_a_full_queue_stays_full_under_a_race(echo):
    policy(1, max_queue_length=5)

    with crowd() as members:
        for _ in range(5):
            members.add(lambda: [request(echo, 3) for _ in range(4)], again=False)
        wait_until(lambda: Execution.objects.count() == 60, members.problems)

    found = list(Execution.objects.values_list("status", flat=True))
    assert {status: found.count(status) for status in set(found)} == {
        "scheduled": 1, "requested": 5, "cancelled": 54,
    }  # fmt: skip


def environment():
    """Return what a process needs to work on the test's database."""
    at = connection.settings_dict
    url = f"postgresql://{at['USER']}:{at['PASSWORD']}@{at['HOST']}:{at['PORT']}/{at['NAME']}"
    settings = {"DJANGO_SETTINGS_MODULE": "attune_project.settings", "ATTUNE_ENV": "test"}
    return {**os.environ, **settings, "DATABASE_URL": url, "BROKER_URL": "memory://"}


@pytest.mark.postgres
def test_an_executor_that_is_killed_between_its_lock_and_its_commit_holds_up_nobody(echo):
    policy(2)
    made = request(echo, 4, priorities=1)
    PolicySlot.objects.all().delete()
    command = [sys.executable, "-m", "tests.executions.policies.killed", "admit_waiting"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, env=environment())
    try:
        assert process.stdout.readline() == b"ADMITTED\n"

        assert lifecycle.admit_waiting() == 0  # the group is the other's: skipped, not waited for
        assert statuses(*made[2:]) == ["requested", "requested"]
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    connections["default"].close()
    with crowd() as members:
        members.add(execute)
        wait_until(lambda: statuses(*made[2:]) == ["scheduled", "scheduled"], members.problems)

    assert held() == made[2:]
