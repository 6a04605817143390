"""Slots: as many at once as the policy says, the others wait in order, and say what for."""

import pytest

from executions import lifecycle
from executions.models import Execution, PolicySlot
from executions.policies.places import places
from tests.executions.policies.conftest import claim, held, sql, statuses, tick

pytestmark = pytest.mark.django_db


def test_without_a_policy_nothing_waits_and_no_slot_is_held(ask):
    made = ask(3)

    assert [one.status for one in made] == ["scheduled"] * 3
    assert held() == []


def test_as_many_start_as_there_are_slots_and_the_others_wait_in_order(limit, ask):
    limit(2)

    made = ask(5)

    assert [one.status for one in made] == ["scheduled", "scheduled", "requested", "requested", "requested"]
    assert held() == [made[0].pk, made[1].pk]
    assert made[2].status_reason == "waiting for a slot of policy demo.limit"
    assert made[0].status_reason == "waiting for a worker in pool default"
    assert places(made) == {made[2].pk: (1, 3), made[3].pk: (2, 3), made[4].pk: (3, 3)}


def test_the_end_of_one_lets_in_the_next(limit, ask, run):
    limit(1)
    made = ask(3)

    order = [run() for _ in range(3)]

    assert order == [[one.pk] for one in made]
    assert held() == []


def test_a_higher_priority_goes_first(limit, ask, run):
    limit(1)
    first, second, third = ask()[0], ask(priority=-1)[0], ask(priority=7)[0]

    assert [run() for _ in range(3)] == [[first.pk], [third.pk], [second.pk]]


def test_each_group_has_slots_of_its_own(limit, ask):
    limit(1, parameters=["host"])

    made = [ask(1, {"host": host})[0] for host in ("a", "b", "a")]

    assert [one.status for one in made] == ["scheduled", "scheduled", "requested"]
    assert made[2].status_reason == 'waiting for a slot of policy demo.limit (group {"host":"a"})'


def test_a_newcomer_does_not_overtake_who_waits(limit, ask):
    limit(1)
    first, second = ask(2)
    sql("DELETE FROM policy_slot")  # freed, and nobody has looked yet

    (third,) = ask()

    assert statuses(first.pk, second.pk, third.pk) == ["scheduled", "scheduled", "requested"]


def test_the_newest_policy_of_the_action_wins_over_its_pack_s_and_all_s(limit, ask):
    limit(1, ref="all")
    limit(2, ref="demo.pack", pack_ref="demo")
    limit(3, ref="demo.old", action_ref="demo.echo")
    own = limit(4, ref="demo.new", action_ref="demo.echo")
    limit(5, ref="demo.off", action_ref="demo.echo", enabled=False)
    limit(6, ref="other.limit", action_ref="demo.other")

    made = ask(7)

    assert [one.status for one in made].count("scheduled") == 4
    assert {one.policy_id for one in made} == {own.pk}


def test_unfit_parameters_take_no_slot(limit, ask):
    limit(1)
    schema = {"host": {"type": "string", "required": True}}

    (bad,) = ask(1, {}, schema=schema)
    (good,) = ask(1, {"host": "a"})

    assert (bad.status, good.status) == ("failed", "scheduled")
    assert bad.policy_id is None


def test_one_source_takes_one_slot(limit, ask):
    limit(2)
    ask(source_key="enforcement:1")

    again, other = ask(source_key="enforcement:1")[0], ask()[0]

    assert held() == [again.pk, other.pk]


def test_a_cancel_before_the_start_gives_its_slot_to_the_next(limit, ask):
    limit(1)
    first, second, third = ask(3)

    lifecycle.cancel(second.pk)
    lifecycle.cancel(first.pk)
    lifecycle.settle(500)

    assert statuses(first.pk, second.pk, third.pk) == ["cancelled", "cancelled", "scheduled"]
    assert held() == [third.pk]


def test_a_cancel_while_it_runs_keeps_the_slot_until_the_end(limit, ask):
    limit(1)
    (first, second) = ask(2)
    (claimed,) = claim()

    lifecycle.cancel(first.pk)
    lifecycle.settle(500)
    assert statuses(first.pk, second.pk) == ["canceling", "requested"]

    lifecycle.finish([lifecycle.Ended(first.pk, claimed.token, "cancelled", {})])
    lifecycle.settle(500)
    assert statuses(first.pk, second.pk) == ["cancelled", "scheduled"]


def test_a_retry_gives_its_slot_back_and_waits_for_one_when_it_is_due(limit, ask, run):
    limit(1)
    first, second = ask(2, action={"max_retries": 1})

    assert run(status="failed") == [first.pk]
    assert statuses(first.pk, second.pk) == ["requested", "requested"]
    tick()
    assert statuses(first.pk, second.pk) == ["requested", "scheduled"]

    sql("UPDATE execution SET due_at = now() - interval '1 s' WHERE due_at IS NOT NULL")
    tick()
    first.refresh_from_db()
    assert (first.status, first.status_reason) == ("requested", "waiting for a slot of policy demo.limit")
    assert run() == [second.pk]
    assert run() == [first.pk]


def test_a_lost_worker_s_execution_gives_its_slot_back(limit, ask):
    limit(1)
    ask(2)
    claim()
    sql("UPDATE execution SET lease_expires_at = now() - interval '1 s' WHERE status = 'running'")

    lifecycle.expire(10)
    lifecycle.settle(500)

    assert list(Execution.objects.order_by("id").values_list("status", flat=True)) == [
        "abandoned",
        "scheduled",
    ]
    assert PolicySlot.objects.count() == 1


def test_what_no_worker_can_run_gives_its_slot_back(limit, ask, settings):
    limit(1)
    first, second = ask(2)
    settings.ATTUNE_NO_WORKER_SECONDS = 60
    sql("UPDATE execution SET scheduled_at = now() - interval '1 h' WHERE status = 'scheduled'")

    lifecycle.fail_unplaceable(10)
    lifecycle.settle(500)

    assert statuses(first.pk, second.pk) == ["failed", "scheduled"]


def test_places_cost_one_query_and_none_when_nobody_waits(limit, ask, django_assert_num_queries):
    limit(1, parameters=["host"])
    made = [ask(1, {"host": host})[0] for host in "aabbab"]

    with django_assert_num_queries(1):
        found = places(made)
    with django_assert_num_queries(0):
        assert places(made[:1]) == {}

    assert [found.get(one.pk) for one in made] == [None, (1, 2), None, (1, 2), (2, 2), (2, 2)]


def test_what_was_requested_in_bulk_costs_as_many_queries_as_one(limit, ask, django_assert_max_num_queries):
    limit(2)
    ask()

    with django_assert_max_num_queries(8):  # the test's own look at them among these
        made = ask(200)

    assert [one.status for one in made].count("scheduled") == 1
