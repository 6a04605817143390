"""Each invariant finds its violation; a sound database breaks none."""

import json
from io import StringIO

import pytest
from django.core.management import call_command

from attune_project.console.invariants import INVARIANTS, violations

POLICY = (
    "INSERT INTO policy (ref, method, threshold, parameters, enabled, is_adhoc)"
    " VALUES ('p', 'enqueue', 1, '{}', true, true)"
)
# name of the invariant -> statements that plant its violation, and what else those break
PLANTED = {
    "event_not_decided": (
        ["UPDATE event SET status = 'new', created = now() - interval '1 hour'"],
        set(),
    ),
    "event_decided_without_when": (["UPDATE event SET ruleset_revision = NULL"], set()),
    "match_without_enforcement": (
        ["UPDATE enforcement SET event_id = NULL"],
        set(),
    ),
    "two_enforcements_of_one_match": (
        [
            "ALTER TABLE enforcement DROP CONSTRAINT enforcement_event_id_rule_id_key",
            "INSERT INTO enforcement"
            " (rule_id, rule_ref, trigger_ref, event_id, status, rule_version, trace_id)"
            " SELECT rule_id, rule_ref, trigger_ref, event_id, 'disabled', 1, trace_id FROM enforcement",
        ],
        set(),
    ),
    "enforcement_not_resolved": (
        [
            "UPDATE enforcement SET status = 'created', created = now() - interval '1 hour',"
            " resolved_at = NULL",
        ],
        set(),
    ),
    "enforcement_without_execution": (
        ["UPDATE enforcement SET execution_id = NULL"],
        {"execution_of_no_enforcement"},
    ),
    "execution_of_no_enforcement": (["DELETE FROM enforcement"], {"match_without_enforcement"}),
    "two_executions_of_one_source": (
        [
            "ALTER TABLE execution DROP CONSTRAINT execution_source_key_key",
            "INSERT INTO execution (source_key, action_ref, status, trace_id)"
            " SELECT source_key, action_ref, 'scheduled', trace_id FROM execution",
        ],
        {"execution_of_no_enforcement"},
    ),
    "ended_without_finish": (
        [
            "ALTER TABLE execution DROP CONSTRAINT execution_finished_check",
            "UPDATE execution SET finished_at = NULL",
        ],
        set(),
    ),
    "ended_with_lease": (
        ["UPDATE execution SET lease_expires_at = now()"],
        set(),
    ),
    "not_settled": (
        ["UPDATE execution SET settled_at = NULL"],
        set(),
    ),
    "lease_over": (
        [
            "UPDATE execution SET status = 'running', finished_at = NULL, settled_at = NULL,"
            " lease_token = gen_random_uuid(), lease_expires_at = now() - interval '1 hour'",
            "UPDATE attempt SET status = 'running', finished_at = NULL",
        ],
        set(),
    ),
    "leased_by_nobody": (
        [
            "UPDATE execution SET status = 'running', finished_at = NULL, settled_at = NULL,"
            " lease_token = gen_random_uuid(), lease_expires_at = NULL",
            "UPDATE attempt SET status = 'running', finished_at = NULL",
        ],
        set(),
    ),
    "two_accepted_results": (
        [
            "INSERT INTO attempt (execution_id, number, status, started_at, finished_at)"
            " SELECT execution_id, 2, 'completed', started_at, finished_at FROM attempt",
        ],
        set(),
    ),
    "attempt_left_open": (["UPDATE attempt SET finished_at = NULL"], set()),
    "too_many_attempts": (
        [
            "INSERT INTO attempt (execution_id, number, status, finished_at)"
            " SELECT id, n, 'abandoned', now() FROM execution, generate_series(2, 5) n",
        ],
        set(),
    ),
    "execution_times_out_of_order": (
        ["UPDATE execution SET started_at = finished_at + interval '1 s'"],
        set(),
    ),
    "attempt_times_out_of_order": (["UPDATE attempt SET started_at = finished_at + interval '1 s'"], set()),
    "chain_times_out_of_order": (["UPDATE event SET decided_at = created - interval '1 s'"], set()),
    "slot_held_by_ended": (
        [
            POLICY,
            "INSERT INTO policy_slot (policy_id, group_key, execution_id)"
            " SELECT p.id, '', x.id FROM policy p, execution x",
        ],
        set(),
    ),
    "started_without_slot": (
        [
            POLICY,
            "UPDATE execution SET status = 'scheduled', finished_at = NULL, started_at = NULL,"
            " settled_at = NULL, policy_id = (SELECT id FROM policy), policy_group = ''",
            "DELETE FROM attempt",
        ],
        set(),
    ),
    "waits_in_no_queue": (
        [
            POLICY,
            "UPDATE execution SET status = 'requested', finished_at = NULL, started_at = NULL,"
            " settled_at = NULL, policy_id = (SELECT id FROM policy), policy_group = ''",
            "DELETE FROM attempt",
        ],
        set(),
    ),
    "free_slot_not_taken": (
        [
            POLICY,
            "UPDATE execution SET status = 'requested', finished_at = NULL, started_at = NULL,"
            " settled_at = NULL, policy_id = (SELECT id FROM policy), policy_group = '',"
            " queued_at = now() - interval '1 hour', updated = now() - interval '1 hour'",
            "DELETE FROM attempt",
            "UPDATE policy SET updated = now() - interval '1 hour'",
            "INSERT INTO policy_group (policy_id, group_key) SELECT id, '' FROM policy",
        ],
        set(),
    ),
    "timer_overdue": (["UPDATE timer SET next_fire_at = now() - interval '1 hour'"], set()),
}


def broken(seconds=30):
    return {one.invariant.name for one in violations(seconds)}


def test_a_sound_chain_breaks_nothing(chain):
    assert broken(seconds=0) == set()


def test_work_under_way_breaks_nothing(chain, sql):
    sql("UPDATE event SET status = 'new', created = now() - interval '5 s', decided_at = NULL")

    assert broken(seconds=10) == set()
    assert broken(seconds=1) == {"event_not_decided"}


def test_every_invariant_has_its_violation():
    assert set(PLANTED) == {invariant.name for invariant in INVARIANTS}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_violation_is_found(chain, sql, name):
    statements, also = PLANTED[name]

    for statement in statements:
        sql(statement)

    assert broken(seconds=10) == {name, *also}


def test_an_enforcement_of_another_execution_is_found(chain, make_chain, sql):
    other = make_chain()
    sql("UPDATE execution SET source_key = 'other' WHERE id = %s", other.execution.pk)

    assert broken() == {"enforcement_without_execution"}


def test_a_rule_that_was_disabled_by_then_owes_nothing(chain, sql):
    sql("UPDATE enforcement SET event_id = NULL")
    sql(
        "INSERT INTO rule_version (rule_id, rule_ref, number, revision, definition)"
        " SELECT rule_id, rule_ref, 2, 1, definition || '{\"enabled\": false}' FROM rule_version"
    )

    assert broken() == set()


def test_the_command_says_that_all_is_well(chain):
    output = StringIO()

    call_command("check_invariants", stdout=output)

    assert output.getvalue() == f"All {len(INVARIANTS)} invariants hold.\n"


def test_the_command_names_rows_and_what_to_do(chain, sql):
    sql("UPDATE timer SET next_fire_at = '2026-01-02 03:04:05Z'")
    output = StringIO()

    with pytest.raises(SystemExit) as ended:
        call_command("check_invariants", stdout=output)

    assert ended.value.code == 1
    first, second, third = output.getvalue().splitlines()
    assert first == "timer_overdue: An enabled timer fires when it is due. 1 rows break this."
    assert second.startswith("  What to do: Is a beat service running")
    assert third.endswith("next_fire_at=2026-01-02 03:04:05+00:00")


def test_the_command_prints_json(chain, sql):
    sql("UPDATE timer SET next_fire_at = now() - interval '20 s'")
    output = StringIO()

    with pytest.raises(SystemExit):
        call_command("check_invariants", "--json", "--seconds", "10", stdout=output)

    (found,) = json.loads(output.getvalue())
    assert (found["name"], found["count"], len(found["rows"])) == ("timer_overdue", 1, 1)


def test_rows_are_limited_but_counted(chain, sql):
    sql(
        "INSERT INTO event (trigger_ref, trace_id, created)"
        " SELECT 'x.y', gen_random_uuid(), now() - interval '1 hour' FROM generate_series(1, 30)"
    )

    (found,) = violations()

    assert (found.count, len(found.rows)) == (30, 20)
