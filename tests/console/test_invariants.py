"""Each invariant finds its violation; a sound database breaks none."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from attune_project.console.invariants import INVARIANTS, Invariant, check, violations
from attune_project.console.management.commands import check_invariants
from tests.console.planted import LAWFUL, PLANTED


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


@pytest.mark.parametrize("name", LAWFUL)
def test_what_is_lawful_breaks_nothing(chain, sql, name):
    for statement in LAWFUL[name]:
        sql(statement)

    assert broken(seconds=10) == set()


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


def test_only_what_is_named_is_looked_at(chain, sql):
    sql("UPDATE timer SET next_fire_at = '2026-01-02 03:04:05Z'")
    output = StringIO()

    call_command("check_invariants", "--only", "event_not_decided", "--only", "trace_lost", stdout=output)

    assert output.getvalue() == "All 2 invariants hold.\n"


def test_an_unknown_name_could_not_be_looked_at(db):
    with pytest.raises(CommandError, match="no invariant is called nothing: see --list") as refused:
        call_command("check_invariants", "--only", "nothing")

    assert refused.value.returncode == 2


def test_the_list_says_of_each_what_it_means_and_what_to_do(db):
    output = StringIO()

    call_command("check_invariants", "--list", "--json", stdout=output)

    listed = json.loads(output.getvalue())
    assert [one["name"] for one in listed] == [invariant.name for invariant in INVARIANTS]
    assert all(one["promise"].endswith(".") and one["remedy"].endswith((".", "?")) for one in listed)


@pytest.fixture
def hopeless(monkeypatch):
    """One invariant whose query can't be worked out, and one that can."""
    both = (Invariant("hopeless", "It is.", "Divide.", "SELECT 1 / 0 AS one"), INVARIANTS[0])
    monkeypatch.setattr(check_invariants, "INVARIANTS", both)


def test_a_query_that_takes_too_long_is_given_up(db):
    (looked,) = check([Invariant("endless", "It ends.", "Wait.", "SELECT pg_sleep(1000)")], 30, timeout=0.05)

    assert looked.error
    assert "statement timeout" in looked.error


def test_a_query_that_fails_holds_up_no_other(chain, hopeless):
    output, errors = StringIO(), StringIO()

    with pytest.raises(SystemExit) as ended:
        call_command("check_invariants", stdout=output, stderr=errors)

    assert ended.value.code == 2
    assert output.getvalue() == ""
    assert errors.getvalue().startswith("hopeless: not looked at: ")
    assert "division by zero" in errors.getvalue()


def test_what_is_broken_counts_for_more_than_what_could_not_be_told(chain, hopeless, sql):
    sql("UPDATE event SET status = 'new', created = now() - interval '1 hour'")
    output = StringIO()

    with pytest.raises(SystemExit) as ended:
        call_command("check_invariants", "--json", stdout=output)

    assert ended.value.code == 1
    first, second = json.loads(output.getvalue())
    assert (first["name"], first["count"], "division by zero" in first["error"]) == ("hopeless", 0, True)
    assert (second["name"], second["count"]) == ("event_not_decided", 1)


def test_what_is_left_after_the_budget_is_not_looked_at(db):
    (looked,) = check(INVARIANTS[:1], 30, timeout=10, budget=0)

    assert looked.error == "not looked at within 0 s in all"
