"""What becomes of those for whom there is no slot: they wait, end, or are replaced; queues have ends."""

import pytest

from attune_project.messaging.topology import EXECUTION_COMPLETED
from executions import lifecycle
from executions.models import Execution
from executions.policies.places import places
from tests.executions.policies.conftest import claim, held, sql, statuses, tick

pytestmark = pytest.mark.django_db


def error(execution):
    execution.refresh_from_db()
    return execution.result["error"]


def test_cancel_ends_whom_there_is_no_slot_for_and_says_why(limit, ask):
    limit(1, method="cancel", parameters=["host"])

    first, second = ask(2, {"host": "a"})

    assert statuses(first.pk, second.pk) == ["scheduled", "cancelled"]
    assert error(second) == 'Cancelled by policy demo.limit: no slot was free (group {"host":"a"})'
    assert second.finished_at >= second.created
    assert second.scheduled_at is None
    assert held() == [first.pk]


def test_cancel_takes_who_comes_when_a_slot_is_free_again(limit, ask, run):
    limit(1, method="cancel")
    ask()
    run()

    assert ask()[0].status == "scheduled"


def test_a_retry_under_cancel_waits_since_it_was_let_in_once(limit, ask, run):
    limit(1, method="cancel")
    (first,) = ask(action={"max_retries": 1})
    run(status="failed")
    (second,) = ask()
    sql("UPDATE execution SET due_at = now() - interval '1 s' WHERE due_at IS NOT NULL")

    tick()

    assert statuses(first.pk, second.pk) == ["requested", "scheduled"]


def test_coalesce_keeps_the_newest_that_waits(limit, ask, django_capture_on_commit_callbacks, fake_publisher):
    limit(1, method="coalesce")
    first, second = ask()[0], ask()[0]

    with django_capture_on_commit_callbacks(execute=True):
        (third,) = ask()

    assert statuses(first.pk, second.pk, third.pk) == ["scheduled", "cancelled", "requested"]
    assert error(second) == f"Coalesced into execution {third.pk}"
    assert places([third]) == {third.pk: (1, 1)}
    rung = [letter for letter in fake_publisher.letters if letter.message == EXECUTION_COMPLETED]
    assert [letter.ids for letter in rung] == [[second.pk]]


def test_coalesce_of_many_at_once_keeps_the_last_of_each_group(limit, ask):
    limit(1, method="coalesce", parameters=["host"])

    made = [*ask(4, {"host": "a"}), *ask(2, {"host": "b"})]

    assert statuses(*(one.pk for one in made)) == [
        "scheduled", "cancelled", "cancelled", "requested", "scheduled", "requested",
    ]  # fmt: skip


def test_a_retry_that_falls_due_is_coalesced_into_the_newer_one(limit, ask, run):
    limit(1, method="coalesce")
    (first,) = ask(action={"max_retries": 1})
    run(status="failed")
    second, third = ask()[0], ask()[0]
    sql("UPDATE execution SET due_at = now() - interval '1 s' WHERE due_at IS NOT NULL")

    tick()

    assert statuses(first.pk, second.pk, third.pk) == ["cancelled", "scheduled", "requested"]
    assert error(first) == f"Coalesced into execution {third.pk}"


def test_a_full_queue_ends_newcomers_only(limit, ask):
    limit(1, max_queue_length=2)
    made = ask(2)

    made += [*ask(3, priority=9), *ask()]

    assert statuses(*(one.pk for one in made)) == [
        "scheduled", "requested", "requested", "cancelled", "cancelled", "cancelled",
    ]  # fmt: skip
    assert error(made[3]) == "Cancelled by policy demo.limit: its queue of 2 was full"


def test_a_queue_of_length_0_lets_nobody_wait(limit, ask):
    limit(1, max_queue_length=0)

    assert [one.status for one in ask(2)] == ["scheduled", "cancelled"]


def test_what_waits_for_too_long_is_cancelled(limit, ask):
    limit(1, max_queue_age=60)
    first, second, third = ask(3)
    sql("UPDATE execution SET queued_at = now() - interval '61 s' WHERE id = %s", second.pk)

    tick()

    assert statuses(first.pk, second.pk, third.pk) == ["scheduled", "cancelled", "requested"]
    assert error(second) == "Cancelled by policy demo.limit: it waited for more than 60 s"


def test_a_retry_s_wait_counts_from_when_it_was_due(limit, ask, run):
    limit(1, max_queue_age=60)
    first, second = ask(2, action={"max_retries": 1})
    run(status="failed")
    tick()
    assert statuses(second.pk) == ["scheduled"]
    sql("UPDATE execution SET due_at = now() - interval '1 h', created = now() - interval '2 h',"
        " scheduled_at = NULL WHERE id = %s", first.pk)  # fmt: skip

    tick()

    assert statuses(first.pk) == ["requested"]


def test_starts_are_counted_by_windows(limit, ask, run):
    limit(10, rate_limit=2, rate_seconds=60)

    made = ask(5)
    run()
    tick()
    assert [one.status for one in made] == ["scheduled", "scheduled", "requested", "requested", "requested"]
    assert made[2].status_reason == "waiting for a slot of policy demo.limit or its rate of 2 per 60 s"
    assert statuses(made[2].pk) == ["requested"]

    sql("UPDATE policy_group SET window_started_at = now() - interval '61 s'")
    tick()
    assert statuses(*(one.pk for one in made[2:])) == ["scheduled", "scheduled", "requested"]


def test_a_rate_and_slots_hold_together(limit, ask):
    limit(3, rate_limit=2, rate_seconds=60)
    ask(2)
    sql("UPDATE policy_group SET window_started_at = now() - interval '61 s'")

    made = ask(2)

    assert [one.status for one in made] == ["scheduled", "requested"]


def test_a_start_that_is_tried_again_counts_again(limit, ask, run):
    limit(3, rate_limit=1, rate_seconds=60)
    (first,) = ask(action={"max_retries": 1})
    run(status="failed")
    sql("UPDATE execution SET due_at = now() - interval '1 s' WHERE due_at IS NOT NULL")

    tick()

    assert statuses(first.pk) == ["requested"]


def test_a_long_queue_does_not_starve_the_others(limit, ask, run, monkeypatch):
    limit(100, parameters=["host"])
    monkeypatch.setattr("executions.lifecycle.admitting.FROM_ONE_GROUP", 5)
    many, few = ask(150, {"host": "many"}), ask(101, {"host": "few"})
    claimed = claim(300)
    lifecycle.finish([lifecycle.Ended(one.id, one.token, "completed", {}) for one in claimed])

    lifecycle.admit_waiting()

    started = set(Execution.objects.filter(status="scheduled").values_list("pk", flat=True))
    assert started == {one.pk for one in (*many[100:105], few[100])}


def test_the_least_recently_admitted_group_is_next(limit, ask):
    limit(1, parameters=["host"])
    made = {host: ask(2, {"host": host}) for host in "abc"}
    sql("DELETE FROM policy_slot")
    sql("UPDATE policy_group SET last_admitted_at = now() - interval '1 h' WHERE group_key LIKE '%%b%%'")

    lifecycle.admit_waiting(1)

    assert statuses(*(made[host][1].pk for host in "abc")) == ["requested", "scheduled", "requested"]
