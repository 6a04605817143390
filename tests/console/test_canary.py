"""The canary: green when it came by its messages, red with the hop that failed."""

import pytest

from attune_project.console.canary import canary
from attune_project.messaging.models import Step

pytestmark = pytest.mark.django_db

HOPS = {  # hop -> how to delay it by 5 s
    "match": "UPDATE enforcement SET created = created + interval '5 s'; UPDATE execution SET created ="
    " created + interval '5 s', scheduled_at = scheduled_at + interval '5 s'",
    "enforce": "UPDATE execution SET created = created + interval '5 s',"
    " scheduled_at = scheduled_at + interval '5 s'",
    "run": "SELECT 1",
    "settle": "UPDATE execution SET settled_at = settled_at + interval '5 s'",
}
AFTER_RUN = (
    "UPDATE execution SET started_at = started_at + interval '5 s',"
    " finished_at = finished_at + interval '5 s', settled_at = settled_at + interval '5 s'"
)


def look():
    (found,) = canary()
    return found


def test_without_its_rule_it_is_disabled():
    assert (look().ok, look().reason) == (True, "disabled")


def test_a_disabled_rule_is_no_alarm(chain, sql):
    sql("UPDATE rule SET enabled = false")

    assert (look().ok, look().reason) == (True, "disabled")


def test_a_good_run_is_green(chain):
    assert (look().ok, look().reason) == (True, None)


@pytest.mark.parametrize("hop", HOPS)
def test_a_hop_that_came_by_its_poll_is_red(make_chain, sql, hop):
    make_chain(age=40)
    sql(HOPS[hop])
    if hop != "settle":
        sql(AFTER_RUN)

    assert f"for the step {hop}" in look().reason


def test_a_hop_of_a_step_that_was_behind_is_excused(make_chain, sql, ago):
    make_chain(age=40)
    sql(HOPS["settle"])
    Step.objects.create(name="settle", full_claim_at=ago(38))

    assert look().ok


def test_a_full_claim_before_the_hop_excuses_nothing(make_chain, sql, ago):
    make_chain(age=40)
    sql(HOPS["settle"])
    Step.objects.create(name="settle", full_claim_at=ago(45))

    assert not look().ok


def test_the_next_good_run_is_green_again(make_chain, sql):
    make_chain(age=80)
    sql(HOPS["settle"])
    make_chain(age=20)

    assert look().ok


def test_a_young_run_leaves_the_word_to_the_one_before(make_chain, sql):
    make_chain(age=80)
    sql(HOPS["settle"])
    young = make_chain(age=5)
    sql("UPDATE execution SET settled_at = NULL WHERE id = %s", young.execution.pk)

    assert "for the step settle" in look().reason


@pytest.mark.parametrize(("age", "ok"), [(20, True), (26, False)])
def test_a_run_that_never_ends(make_chain, sql, age, ok):
    run = make_chain(age=age)
    sql("UPDATE execution SET settled_at = NULL, finished_at = NULL, started_at = NULL, status = 'scheduled',"
        " status_reason = 'waiting for a worker in pool default'")  # fmt: skip

    assert look().ok is ok
    if not ok:
        assert look().reason.startswith(
            f"The canary of event {run.event.pk} has waited 26 s for the step run"
        )
        assert "(waiting for a worker in pool default)" in look().reason


@pytest.mark.parametrize(("age", "ok"), [(89, True), (91, False)])
def test_no_event_for_long(make_chain, age, ok):
    make_chain(age=age)

    assert look().ok is ok


def test_slots_dropped_while_no_beat_ran_begin_the_wait_anew(make_chain, sql):
    make_chain(age=5000)
    sql(
        "INSERT INTO timer_slot (timer_id, scheduled_for, outcome, reason)"
        " SELECT timer_id, now() - interval '60 s', 'skipped', 'missed' FROM timer_slot"
    )

    assert look().ok


def test_a_canary_that_fails(chain, sql):
    sql("UPDATE execution SET status = 'failed', result = '{\"error\": \"no such action\"}'")

    assert look().reason.endswith(f"ended failed in execution {chain.execution.pk}: no such action.")


def test_a_canary_that_is_given_up(chain, sql):
    sql("UPDATE enforcement SET status = 'disabled', execution_id = NULL")

    assert "was given up" in look().reason


def test_a_canary_that_matched_nothing(chain, sql):
    sql("DELETE FROM enforcement")

    assert "matched no rule" in look().reason
