"""A cancel against a claim, an end, a retry and another cancel: whoever comes first, it is never lost."""

import random
import threading
import uuid

import pytest
from django.db import close_old_connections, connection

from executions import lifecycle
from executions.lifecycle import Claimant, Ended
from executions.models import TERMINAL, Attempt, Execution
from executions.requesting import Wanted, request_executions
from tests.executions.lives import INSTANT, claim_one, end, lapse
from tests.executions.test_worker import wait_for
from tests.executions.test_worker import worker as process  # noqa: F401 (a fixture)

pytestmark = pytest.mark.django_db(transaction=True)
EACH = 25


def together(*steps):
    """Run steps at the same moment, each in a thread with a connection of its own; raise what one raised."""
    ready, found = threading.Barrier(len(steps)), []

    def run(step):
        try:
            ready.wait(60)
            step()
        except Exception as problem:
            found.append(problem)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(step,)) for step in steps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    close_old_connections()
    assert found == []
    assert not any(thread.is_alive() for thread in threads)


@pytest.fixture
def running(make_action, worker):
    """Make running executions that would be tried again."""
    action = make_action("demo.flaky", max_retries=5)

    def make(count):
        made = request_executions([Wanted(action, {}, uuid.uuid4()) for _ in range(count)])
        return {one.id: one for one in (claim_one(worker) for _ in made)}

    return make


def accepted(answers, *statuses):
    return {row_id for row_id, answer in answers.items() if answer in statuses}


def cancel_all(ids, answers, by=1):
    for row_id in ids:
        answers[row_id] = lifecycle.cancel(row_id, by, f"by {by}")


def test_against_an_end_it_is_taken_or_refused_and_never_tried_again(running):
    held, answers = running(EACH), {}
    ids = list(held)

    def end_all():
        for row_id in ids:
            end(held[row_id], "failed", {"error": "x"})

    together(lambda: cancel_all(ids, answers), end_all)

    rows = Execution.objects.in_bulk(ids)
    assert accepted(answers, None) == set(), "with retries left none of them is over before its cancel"
    assert {row.status for row in rows.values()} == {"cancelled"}
    assert {row.cancelled_by_id for row in rows.values()} == {1}
    assert {row.lease_token for row in rows.values()} == {None}


def test_against_a_claim_it_ends_at_once_or_asks_the_worker(make_action, worker):
    action = make_action()
    ids = request_executions([Wanted(action, {}, uuid.uuid4()) for _ in range(EACH)])
    answers, held = {}, []

    def claim_all():
        for _ in ids:
            held.extend(lifecycle.claim(Claimant(worker.pk), 1, INSTANT, inline=True))

    together(lambda: cancel_all(ids, answers), claim_all)

    claimed = {one.id for one in held}
    assert accepted(answers, "canceling") == claimed
    assert accepted(answers, "cancelled") == set(ids) - claimed
    assert set(lifecycle.cancelled(worker.pk, [one.token for one in held])) == {one.token for one in held}
    assert Attempt.objects.count() == len(claimed), "what ended before it began was never begun"


def test_against_the_last_end_there_is_one_winner(make_action, worker):
    action = make_action()
    request_executions([Wanted(action, {}, uuid.uuid4()) for _ in range(EACH)])
    held = [claim_one(worker) for _ in range(EACH)]
    ids, answers, taken = [one.id for one in held], {}, []

    def end_all():
        for one in held:
            taken.extend(end(one))

    together(lambda: cancel_all(ids, answers), end_all)

    assert sorted(taken) == sorted(ids), "a worker's end is always taken under its lease"
    statuses = dict(Execution.objects.values_list("pk", "status"))
    assert {row_id for row_id, status in statuses.items() if status == "cancelled"} == accepted(
        answers, "canceling"
    )
    assert {row_id for row_id, status in statuses.items() if status == "completed"} == accepted(answers, None)


def test_against_a_lost_worker_it_is_not_tried_again(make_action, worker):
    action = make_action(idempotent=True)
    request_executions([Wanted(action, {}, uuid.uuid4()) for _ in range(EACH)])
    ids, answers = [claim_one(worker).id for _ in range(EACH)], {}
    for row_id in ids:
        lapse(row_id)

    together(lambda: cancel_all(ids, answers), lambda: [lifecycle.expire(1) for _ in range(EACH * 2)])

    lifecycle.expire(EACH)
    rows = Execution.objects.in_bulk(ids)
    assert {row_id for row_id, row in rows.items() if row.status == "abandoned"} == accepted(
        answers, "canceling"
    )
    assert {row_id for row_id, row in rows.items() if row.status == "cancelled"} == accepted(
        answers, "cancelled"
    )


def test_of_two_cancels_one_is_kept(running):
    ids, first, second = list(running(EACH)), {}, {}

    together(lambda: cancel_all(ids, first, 1), lambda: cancel_all(ids, second, 2))

    assert set(first.values()) | set(second.values()) == {"canceling"}
    kept = Execution.objects.values_list("cancelled_by_id", "cancel_reason")
    assert all(reason == f"by {by}" for by, reason in kept)


@pytest.mark.parametrize("seed", range(3))
def test_whatever_comes_together_each_ends_once_and_no_cancel_is_lost(make_action, worker, seed):
    """Workers, an executor and people at the same executions: nothing moves that had ended."""
    action = make_action(max_retries=2)
    ids = request_executions([Wanted(action, {}, uuid.uuid4()) for _ in range(EACH)])
    answers, over = {}, threading.Event()

    def work(number):
        dice = random.Random(seed * 10 + number)
        while not over.is_set():
            for one in lifecycle.claim(Claimant(worker.pk), 3, INSTANT, inline=True):
                status = dice.choice(["failed", "timeout", "completed"])
                lifecycle.finish([Ended(one.id, one.token, status, {"error": "x"})])
            with connection.cursor() as cursor:
                cursor.execute("UPDATE execution SET due_at = now() WHERE status = 'requested'")
            lifecycle.admit(100)

    def cancel_some():
        try:
            cancel_all(random.Random(seed).sample(ids, EACH // 2), answers)
            wait_for(lambda: not Execution.objects.exclude(status__in=TERMINAL).exists())
        finally:
            over.set()

    together(cancel_some, lambda: work(1), lambda: work(2))

    rows = Execution.objects.in_bulk(ids)
    assert all(row.status in TERMINAL and row.finished_at for row in rows.values())
    for row_id, answer in answers.items():
        was_over = answer is None
        assert (rows[row_id].status == "cancelled") is not was_over
    ended_otherwise = {row_id for row_id, row in rows.items() if row.status != "cancelled"}
    assert not ended_otherwise & accepted(answers, "canceling", "cancelled")
    for row in rows.values():
        assert row.retry_count <= 2
        assert Attempt.objects.filter(execution=row, finished_at=None).count() == 0


def test_a_worker_looks_for_cancels_between_its_heartbeats(process, make_action):  # noqa: F811
    action = make_action("demo.sleep", entrypoint="sleep")
    [row_id] = request_executions([Wanted(action, {"seconds": 600}, uuid.uuid4())])
    process.take(10)
    process.look_for_cancels()
    assert Execution.objects.get().status == "running"

    lifecycle.cancel(row_id)
    process.look_for_cancels()

    assert wait_for(lambda: Execution.objects.get().status == "cancelled")
    assert Execution.objects.get().result["error"] == "Cancelled while running"
