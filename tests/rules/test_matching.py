"""event -> enforcement."""

import pytest
from django.db import connection

from attune_project.messaging import counts
from attune_project.messaging.models import MessageCount
from attune_project.messaging.topology import ENFORCEMENT_CREATED
from rules.changes import save_rule
from rules.matching import match_pending, storable
from rules.models import Enforcement, Outcome, RuleEvaluation, RulesetRevision

HIGH = [{"field": "level", "operator": "gt", "value": 3}]


def test_a_match_is_an_enforcement(make_rule, happen):
    rule = make_rule(conditions=HIGH, action_params={"message": "{{ event.payload.level }}"})
    event = happen({"level": 5})

    assert match_pending(10) == 1

    row = Enforcement.objects.get()
    assert (row.rule_id, row.event_id, row.status, row.rule_version) == (rule.pk, event.pk, "created", 1)
    assert (row.config, row.conditions, row.condition) == ({"message": 5}, HIGH, "all")
    assert (row.trace_id, row.payload) == (event.trace_id, None)


def test_an_any_group_is_noted(make_rule, happen):
    make_rule(conditions={"any": HIGH})
    happen({"level": 5})

    match_pending(10)

    assert Enforcement.objects.get().condition == "any"


def test_enforcements_are_rung_after_the_commit(
    make_rule, happen, fake_publisher, django_capture_on_commit_callbacks
):
    make_rule("demo.a")
    make_rule("demo.b")
    happen()
    happen()

    with django_capture_on_commit_callbacks(execute=True):
        match_pending(10)

    assert sorted(fake_publisher.rung(ENFORCEMENT_CREATED)) == sorted(
        Enforcement.objects.values_list("pk", flat=True)
    )
    assert len(fake_publisher.letters) == 1


def test_an_event_is_decided_with_the_revision_that_decided_it(make_rule, happen):
    make_rule()
    event = happen()

    match_pending(10)

    event.refresh_from_db()
    assert (event.status, event.ruleset_revision) == ("decided", RulesetRevision.objects.get().revision)
    assert event.decided_at >= event.created


def test_an_event_without_a_rule_is_decided_too(happen):
    happen()

    assert match_pending(10) == 1
    assert match_pending(10) == 0


def test_oldest_first_and_no_more_than_asked(make_rule, happen):
    make_rule()
    events = [happen() for _ in range(3)]

    match_pending(2)

    assert list(Enforcement.objects.order_by("id").values_list("event_id", flat=True)) == [
        event.pk for event in events[:2]
    ]


def test_matching_again_changes_nothing(make_rule, happen):
    make_rule()
    event = happen()
    match_pending(10)
    type(event).objects.update(status="new")

    assert match_pending(10) == 1
    assert Enforcement.objects.count() == 1


def test_an_error_is_a_row_and_the_rule_s_last_error(make_rule, happen):
    rule = make_rule(conditions=HIGH)
    other = make_rule("demo.other")
    happen({"level": "x"})

    match_pending(10)

    row = RuleEvaluation.objects.get()
    rule.refresh_from_db()
    assert (row.rule_id, row.outcome) == (rule.pk, Outcome.ERROR)
    assert rule.last_error == row.reason
    assert rule.last_error_at is not None
    assert Enforcement.objects.get().rule_id == other.pk


@pytest.mark.parametrize("kept", [True, False])
def test_non_matches_are_kept_only_when_asked_for(make_rule, happen, settings, kept):
    settings.ATTUNE_RECORD_NON_MATCHES = kept
    make_rule(conditions=HIGH)
    happen({"level": 1})

    match_pending(10)

    assert RuleEvaluation.objects.filter(outcome="not_matched").exists() is kept


def test_many_events_cost_as_many_statements_as_one(make_rule, happen, django_assert_max_num_queries):
    make_rule()
    for number in range(20):
        happen({"level": number})

    with django_assert_max_num_queries(8):
        assert match_pending(100) == 20


def test_a_rule_that_was_changed_decides_as_it_is_now(make_rule, happen):
    rule = make_rule(conditions=HIGH)
    happen({"level": 1})
    match_pending(10)
    rule.conditions = {}
    save_rule(rule)
    happen({"level": 1})

    match_pending(10)

    assert Enforcement.objects.get().rule_version == 2


def test_the_claim_is_served_by_its_index(happen):
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("EXPLAIN SELECT id FROM event WHERE status = 'new' ORDER BY id LIMIT 5")
        plan = "\n".join(row[0] for row in cursor.fetchall())

    assert "event_new_idx" in plan


def test_the_words_of_an_error_are_stored_whatever_they_quote():
    assert storable("a\x00b\ud800c") == "a\ufffdb?c"
    assert storable("x" * 9000) == "x" * 2000


def test_what_asking_costs_is_counted_by_trigger(make_rule, happen, monkeypatch):
    monkeypatch.setattr(counts, "_counter", counts.Counter())
    make_rule("demo.a", conditions=HIGH)
    make_rule("demo.b", conditions=HIGH)
    make_rule("demo.c", conditions=[{"field": "room", "operator": "equals", "value": "cellar"}])
    for level in (1, 5, 9):
        happen({"level": level, "room": "hall"})

    match_pending(10)
    counts.flush()

    found = dict(
        MessageCount.objects.filter(name="matched", label="demo.alarm").values_list("outcome", "total")
    )
    assert found.pop("nanoseconds") > 0
    assert found == {"events": 3, "rules": 6}
