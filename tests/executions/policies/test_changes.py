"""Changes of policies: what waits and what runs is put under what holds now, and nothing is forgotten."""

import pytest
from django.db import connection

from executions import lifecycle
from executions.models import Execution, PolicyGroup, PolicySlot
from executions.policies import groups, table
from executions.policies.changes import delete_policy, save_policy
from tests.executions.policies.conftest import claim, held, sql, statuses, tick

pytestmark = pytest.mark.django_db


def ids(rows):
    return [one.pk for one in rows]


def test_a_raised_threshold_lets_more_in(limit, ask):
    policy = limit(1)
    made = ask(4)

    policy.threshold = 3
    save_policy(policy)
    tick()

    assert statuses(*ids(made)) == ["scheduled"] * 3 + ["requested"]


def test_a_lowered_threshold_takes_nothing_back_and_lets_nobody_in_above_it(limit, ask, run):
    policy = limit(3)
    made = ask(5)
    policy.threshold = 1
    save_policy(policy)

    ended = claim(2)
    lifecycle.finish([lifecycle.Ended(one.id, one.token, "completed", {}) for one in ended])
    tick()
    assert statuses(*ids(made)[2:]) == ["scheduled", "requested", "requested"]

    run()
    tick()
    assert statuses(*ids(made)[3:]) == ["scheduled", "requested"]


@pytest.mark.parametrize("change", ["disable", "delete"])
def test_without_their_policy_those_who_waited_go_ahead(limit, ask, change):
    policy = limit(1, parameters=["host"])
    made = ask(3, {"host": "a"})

    if change == "delete":
        delete_policy(policy)
    else:
        policy.enabled = False
        save_policy(policy)
    tick()

    assert statuses(*ids(made)) == ["scheduled"] * 3
    assert held() == []
    assert set(Execution.objects.values_list("policy_id", flat=True)) == {None}


def test_the_policies_behind_a_deleted_one_hold_next(limit, ask):
    fallback = limit(2, ref="all")
    own = limit(1, action_ref="demo.echo")
    made = ask(4)

    delete_policy(own)
    tick()

    assert statuses(*ids(made)) == ["scheduled", "scheduled", "requested", "requested"]
    assert {one.policy_id for one in Execution.objects.all()} == {fallback.pk}
    made[3].refresh_from_db()
    assert made[3].status_reason == "waiting for a slot of policy all"


def test_a_new_policy_counts_what_has_started_already(limit, ask, run):
    before = ask(3)
    limit(2)

    tick()
    (after,) = ask()

    assert held() == ids(before)
    assert after.status == "requested"
    claimed = claim(2)
    lifecycle.finish([lifecycle.Ended(one.id, one.token, "completed", {}) for one in claimed])
    lifecycle.settle(10)
    assert statuses(after.pk) == ["scheduled"]


def test_other_parameters_make_other_groups_of_what_waits_and_what_runs(limit, ask):
    policy = limit(1)
    first, second, third = ask(1, {"host": "a"})[0], ask(1, {"host": "a"})[0], ask(1, {"host": "b"})[0]

    policy.parameters = ["host"]
    save_policy(policy)
    tick()

    assert statuses(first.pk, second.pk, third.pk) == ["scheduled", "requested", "scheduled"]
    second.refresh_from_db()
    assert second.status_reason == 'waiting for a slot of policy demo.limit (group {"host":"a"})'


def test_reasons_follow_the_policy(limit, ask):
    policy = limit(1)
    _, waiting = ask(2)

    policy.rate_limit, policy.rate_seconds = 10, 60.0
    save_policy(policy)
    tick()

    waiting.refresh_from_db()
    assert waiting.status_reason == "waiting for a slot of policy demo.limit or its rate of 10 per 60 s"


def test_a_retry_that_waits_for_its_time_comes_under_the_new_policy_when_it_is_due(limit, ask, run):
    (first,) = ask(action={"max_retries": 1})
    run(status="failed")
    limit(1)
    ask()
    tick()
    sql("UPDATE execution SET due_at = now() - interval '1 s' WHERE due_at IS NOT NULL")

    tick()

    first.refresh_from_db()
    assert (first.status, first.status_reason) == ("requested", "waiting for a slot of policy demo.limit")


def test_nothing_is_admitted_without_a_policy_while_a_change_is_being_worked_in(limit, ask, run):
    ask(action={"max_retries": 1})
    run(status="failed")
    limit(1)
    sql("UPDATE execution SET due_at = now() - interval '1 s'")

    assert lifecycle.admit(10) == 0


def test_many_are_looked_through_in_batches(limit, ask):
    limit(1)
    made = ask(7)
    sql("UPDATE policy SET enabled = false")

    looked = [lifecycle.reassign(3) for _ in range(4)]

    assert looked == [3, 3, 1, 0]
    lifecycle.admit(10)
    assert statuses(*ids(made)) == ["scheduled"] * 7


def test_a_change_during_the_look_starts_it_again(limit, ask):
    limit(1)
    made = ask(6)
    sql("UPDATE policy SET enabled = false")
    lifecycle.reassign(3)
    sql("UPDATE policy SET enabled = true")

    assert [lifecycle.reassign(4) for _ in range(3)] == [4, 2, 0]
    assert set(Execution.objects.filter(pk__in=ids(made)).values_list("policy__ref", flat=True)) == {
        "demo.limit"
    }


def test_an_execution_is_made_by_no_policy_of_the_past(limit, ask):
    table.cached()
    stale = table.current()
    limit(1)
    table._cached = stale  # another process made the policy

    first, second = ask(2)

    assert (first.status, second.status) == ("scheduled", "requested")


def test_a_policy_that_another_process_deleted_holds_nobody(limit, ask):
    limit(1, parameters=["host"])
    stale = table.current()
    sql("DELETE FROM policy")
    table._cached = stale

    assert [one.status for one in ask(2)] == ["scheduled", "scheduled"]
    assert PolicyGroup.objects.count() == 0


def test_whoever_changes_the_table_makes_a_new_stamp(limit):
    stamps = []
    for change in ("UPDATE policy SET label = 'x'", "DELETE FROM policy"):
        limit(1, ref=f"r{len(stamps)}")
        sql(change)
        stamps.append(table.current().stamp)

    assert len(set(stamps)) == 2


def test_without_a_change_a_look_at_policies_is_one_query(limit, django_assert_num_queries):
    limit(1)
    table.current()

    with django_assert_num_queries(1):
        assert table.current() is table.cached()


def test_an_unused_group_goes_and_comes_back_when_it_is_needed(limit, ask, run):
    limit(1)
    ask()
    run()
    sql("UPDATE policy_group SET updated = now() - interval '2 h'")

    assert groups.drop_idle(3600, 10) == 1
    assert ask()[0].status == "scheduled"


@pytest.mark.parametrize("count", [1, 2])
def test_a_group_in_use_stays(limit, ask, count):
    limit(1)
    ask(count)
    sql("UPDATE policy_group SET updated = now() - interval '2 h'")

    assert groups.drop_idle(3600, 10) == 0


def test_a_group_stays_while_its_rate_is_counted(limit, ask, run):
    limit(1, rate_limit=1, rate_seconds=86_400)
    ask()
    run()
    sql("UPDATE policy_group SET updated = now() - interval '2 h'")

    assert groups.drop_idle(3600, 10) == 0


def test_a_slot_that_was_left_behind_does_not_hold_up_its_group(limit, ask):
    policy = limit(1)
    _, second = ask(2)
    sql("DELETE FROM policy_slot")
    PolicySlot.objects.create(policy=limit(1, ref="old"), group_key="", execution_id=second.pk)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE policy_stamp SET resolved = stamp")

    lifecycle.admit_waiting()

    assert statuses(second.pk) == ["scheduled"]
    assert PolicySlot.objects.get().policy == policy
