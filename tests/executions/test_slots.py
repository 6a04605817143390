"""Leases of the slots: what is renewed, what is stopped, and what is left to end."""

import threading
import time
import uuid

import pytest
from django.db import DataError, OperationalError
from django.db.models.functions import Now
from psycopg.errors import ProgramLimitExceeded
from structlog.testing import capture_logs

from attune_project.packs.models import Worker
from executions import lifecycle
from executions.log_chunks import Piece, Rest
from executions.models import Execution
from executions.requesting import Wanted, request_executions
from executions.runners import RunnerSettings
from executions.worker import process as worker_process
from executions.worker import results
from executions.worker.process import WorkerProcess
from executions.worker.scaling import Bounds
from tests.executions.lives import due_now

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

    def make(count=1, seconds=60):
        return request_executions([Wanted(action, {"seconds": seconds}, uuid.uuid4()) for _ in range(count)])

    return make


def wait_for(condition, seconds=60):
    ends = time.monotonic() + seconds
    while not condition() and time.monotonic() < ends:
        time.sleep(0.02)
    return condition()


def reasons(worker):
    return [one.control.reason for one in worker.slots._running.values()]


def test_what_is_claimed_while_a_heartbeat_asks_is_left_alone(worker, request_sleep, monkeypatch):
    """The answer of the database cannot name a lease that is younger than the question."""
    renew = lifecycle.renew

    def renew_then_claim(*asked):
        answer = renew(*asked)
        request_sleep(1)
        worker.fill_slots()
        return answer

    monkeypatch.setattr(lifecycle, "renew", renew_then_claim)

    worker.heartbeat()

    assert reasons(worker) == [None]


def test_a_claim_that_this_process_never_learned_of_is_not_kept_alive(worker, request_sleep):
    """The answer to a claim can be lost on the way: its lease must end."""
    request_sleep(1)
    lifecycle.claim(worker._claimant, 1, worker_process.INSTANT, inline=False)
    before = Execution.objects.get().lease_expires_at

    worker.heartbeat()

    assert Execution.objects.get().lease_expires_at == before


def test_a_lease_that_is_about_to_end_unrenewed_stops_its_action_without_the_database(worker, request_sleep):
    request_sleep(2)
    worker.fill_slots()
    first = next(iter(worker.slots._running.values()))
    first.until = time.monotonic() + 1

    worker.fence()

    assert first.control.reason == "lost"
    assert wait_for(lambda: reasons(worker) == [None])


def test_what_was_killed_while_a_heartbeat_waited_is_given_back(worker, request_sleep, monkeypatch):
    """The database hangs: the action is killed in time, and then the old question renews its lease."""
    renew = lifecycle.renew
    request_sleep(1)
    worker.fill_slots()

    def hang(*asked):
        for one in worker.slots._running.values():
            one.control.stop("lost")
        worker.slots.wait(60)
        return renew(*asked)

    monkeypatch.setattr(lifecycle, "renew", hang)

    worker.heartbeat()

    assert lifecycle.expire(10) == 1


def test_a_claim_under_way_is_waited_for(worker):
    reserved = worker.slots.reserve()
    before = worker.slots.wait(0.1)
    worker.slots.fill(reserved, [], 0)

    assert (before, worker.slots.wait(0.1)) == (False, True)


def test_a_heartbeat_after_the_end_renews_nothing(worker, request_sleep, settings):
    settings.ATTUNE_DRAIN_SECONDS = 0
    request_sleep(1)
    worker.fill_slots()
    worker.stop()
    ended_at = Execution.objects.get().lease_expires_at

    worker.heartbeat()

    assert Execution.objects.get().lease_expires_at == ended_at
    worker._row.refresh_from_db()
    assert worker._row.status == "inactive"


def test_a_slot_whose_claim_fails_lets_its_process_consume_again(worker, request_sleep, monkeypatch):
    said = []
    monkeypatch.setattr(worker_process.consuming, "pause", lambda: said.append("pause"))
    monkeypatch.setattr(worker_process.consuming, "resume", lambda: said.append("resume"))
    worker.others = True
    request_sleep(2, seconds=0.05)
    worker.fill_slots()
    monkeypatch.setattr(lifecycle, "claim", refusing(OperationalError("away")))

    assert wait_for(lambda: not worker.slots.busy)
    assert wait_for(lambda: said[-1:] == ["resume"])
    assert "pause" in said


def test_a_cordoned_worker_leaves_the_messages_to_others(worker, monkeypatch):
    said = []
    monkeypatch.setattr(worker_process.consuming, "pause", lambda: said.append("pause"))
    monkeypatch.setattr(worker_process.consuming, "resume", lambda: said.append("resume"))
    worker._row.cordoned = True
    worker._row.save()
    make_other()

    worker.heartbeat()

    assert said == ["pause"]


def make_other():
    Worker.objects.create(name="other", last_heartbeat=Now())


def refusing(problem, times=10**6):
    left = [times]

    def refuse(*args, **kwargs):
        left[0] -= 1
        if left[0] < 0:
            return lifecycle_finish(*args, **kwargs)
        raise problem

    lifecycle_finish = lifecycle.finish
    return refuse


def test_an_end_is_stored_however_long_the_database_is_away(worker, request_sleep, monkeypatch):
    monkeypatch.setattr(results, "LONGEST_PAUSE", 0.01)
    monkeypatch.setattr(lifecycle, "finish", refusing(OperationalError("away"), times=30))
    request_sleep(1, seconds=0.01)

    worker.fill_slots()

    assert wait_for(lambda: Execution.objects.get().status == "completed")


def test_a_batch_is_given_up_once_and_not_end_by_end(worker, make_action, monkeypatch):
    monkeypatch.setattr(results, "PATIENCE", 0)
    tries = []

    def away(ended):
        tries.append(len(ended))
        raise OperationalError("away")

    monkeypatch.setattr(lifecycle, "finish", away)

    with capture_logs() as told:
        results.store([lifecycle.Ended(number, uuid.uuid4(), "completed", {}) for number in (1, 2, 3)])

    assert tries == [3]
    assert [(line["event"], line["executions"]) for line in told] == [("results lost", [1, 2, 3])]


def test_what_is_too_large_for_the_database_is_a_failure_at_once(worker, request_sleep, monkeypatch):
    problem = OperationalError("string too long to represent as jsonb string")
    problem.__cause__ = ProgramLimitExceeded()
    monkeypatch.setattr(lifecycle, "finish", refusing(problem, times=1))
    request_sleep(1, seconds=0.01)

    worker.fill_slots()

    assert wait_for(lambda: statuses() == ["failed"])


def test_a_result_that_the_database_cannot_hold_is_a_failure_that_says_so(worker, request_sleep, monkeypatch):
    monkeypatch.setattr(lifecycle, "finish", refusing(DataError("unsupported Unicode"), times=1))
    request_sleep(1, seconds=0.01)

    worker.fill_slots()

    assert wait_for(lambda: Execution.objects.get().status == "failed")
    assert Execution.objects.get().result["error"] == "The result could not be stored: DataError"


def test_an_end_is_stored_where_no_more_threads_can_be_had(worker, request_sleep, monkeypatch):
    start = threading.Thread.start

    def refuse_finisher(thread):
        if thread.name == "finisher":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse_finisher)
    request_sleep(1, seconds=0.01)

    worker.fill_slots()

    assert wait_for(lambda: statuses() == ["completed"])
    assert wait_for(lambda: worker.slots.idle)


@pytest.mark.parametrize(("was", "becomes"), [("running", "requested"), ("canceling", "cancelled")])
def test_what_no_thread_can_be_had_for_is_given_back(worker, request_sleep, monkeypatch, was, becomes):
    start = threading.Thread.start

    def refuse_slots(thread):
        if thread.name.startswith("slot"):
            Execution.objects.update(status=was)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse_slots)
    request_sleep(1, seconds=0.01)

    worker.fill_slots()

    row = Execution.objects.get()
    assert (row.status, row.worker_id, row.started_at, row.attempts.count()) == (becomes, None, None, 0)
    assert worker.slots.idle


def test_what_was_given_back_runs_when_it_falls_due(worker, request_sleep, monkeypatch):
    request_sleep(1, seconds=0.01)
    with monkeypatch.context() as patched:
        patched.setattr(worker.slots._threads, "do", refusing(RuntimeError("can't start new thread")))
        worker.fill_slots()
    waits_for = Execution.objects.get().status_reason

    due_now()
    worker.fill_slots()

    assert waits_for.endswith("could start no thread for it")
    assert wait_for(lambda: statuses() == ["completed"])
    assert Execution.objects.get().attempts.get().number == 1


def test_one_bad_result_of_a_batch_does_not_take_the_others_along(worker, make_action, monkeypatch):
    action = make_action()
    request_executions([Wanted(action, {"message": text}, uuid.uuid4()) for text in "ab"])
    finish = lifecycle.finish

    def refuse_a(ended):
        if any(end.result.get("stdout") == "a" for end in ended):
            raise DataError("bad")
        return finish(ended)

    monkeypatch.setattr(lifecycle, "complete", refusing(DataError("bad")))
    monkeypatch.setattr(lifecycle, "finish", refuse_a)

    worker.take(500)

    assert wait_for(lambda: statuses() == ["failed", "completed"])


def test_an_end_that_is_refused_for_good_does_not_take_its_batch_along(worker, make_action, monkeypatch):
    action = make_action()
    ids = request_executions([Wanted(action, {"message": text}, uuid.uuid4()) for text in "ab"])
    finish = lifecycle.finish

    def refuse_the_first(ended):
        if any(end.execution_id == ids[0] for end in ended):
            raise DataError("bad")
        return finish(ended)

    monkeypatch.setattr(lifecycle, "complete", refusing(DataError("bad")))
    monkeypatch.setattr(lifecycle, "finish", refuse_the_first)

    worker.take(500)

    assert wait_for(lambda: statuses() == ["running", "completed"])


def test_an_end_whose_log_is_refused_is_stored_without_it(worker, make_action):
    [row_id] = request_executions([Wanted(make_action(), {}, uuid.uuid4())])
    [one] = lifecycle.claim(worker._claimant, 1, worker_process.INSTANT, inline=True)
    piece = Piece(row_id, one.token, 1, "stdout", 0, b"no \x00 is stored")

    results.store([lifecycle.Ended(row_id, one.token, "completed", {}, rest=Rest(1, (piece,)))])

    assert statuses() == ["failed"]


def test_instant_ends_are_stored_without_holding_up_the_consumer(worker, make_action, monkeypatch):
    request_executions([Wanted(make_action(), {}, uuid.uuid4())])
    monkeypatch.setattr(lifecycle, "complete", refusing(DataError("bad")))
    monkeypatch.setattr(lifecycle, "finish", refusing(OperationalError("away"), times=3))

    worker.take(500)

    assert [thread.name for thread in threading.enumerate()].count("results") == 1
    assert wait_for(lambda: statuses() == ["completed"])


def test_one_that_cannot_be_begun_does_not_take_its_batch_along(worker, make_action):
    good, bad = make_action(), make_action("demo.bad", timeout_seconds=None)
    ids = request_executions([Wanted(bad, {}, uuid.uuid4()), Wanted(good, {}, uuid.uuid4())])
    Execution.objects.filter(pk=ids[0]).update(env_vars=["no", "object"])

    worker.take(500)

    assert statuses() == ["failed", "completed"]


def statuses():
    return list(Execution.objects.order_by("pk").values_list("status", flat=True))
