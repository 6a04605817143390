"""What every candidate rule said of an event."""

import pytest

from rules import changes
from rules.matching import match_pending
from rules.models import RuleType
from sensors.models import Event, Trigger

HIGH = [{"field": "level", "operator": "gt", "value": 3}]
SHAPE = {
    "id", "created", "updated", "event", "rule", "rule_ref", "rule_version", "outcome", "reason", "detail",
}  # fmt: skip


def url(event):
    return f"/api/v1/events/{event.pk}/evaluations"


@pytest.fixture
def decided(happen):
    """Record an event and have it decided."""

    def make(payload=None, **values):
        event = happen(payload, **values)
        match_pending(10)
        return Event.objects.get(pk=event.pk)

    return make


@pytest.fixture
def said(api):
    """Return what the API says of an event, by rule."""
    return lambda event: {row["rule_ref"]: row for row in api.get(url(event)).json()["data"]}


def test_a_match_names_its_enforcement(said, make_rule, decided):
    make_rule(conditions=HIGH)

    event = decided({"level": 5})

    row = said(event)["demo.rule"]
    assert row.keys() == SHAPE
    assert (row["outcome"], row["rule_version"]) == ("matched", 1)
    assert row["detail"] == {"enforcement": event.enforcements.get().pk, "execution": None}


def test_an_error_is_kept(said, make_rule, decided):
    make_rule(conditions=HIGH)

    row = said(decided({"level": "x"}))["demo.rule"]

    assert row["outcome"] == "error"
    assert row["id"] is not None
    assert row["reason"].startswith("conditions[0]")


def test_a_non_match_is_worked_out(said, make_rule, decided):
    make_rule(conditions=HIGH)

    row = said(decided({"level": 1}))["demo.rule"]

    clause = {"path": "level", "operator": "gt", "value": 1, "pattern": 3, "outcome": "not_matched"}
    assert (row["id"], row["outcome"]) == (None, "not_matched")
    assert row["reason"] == "conditions[0]: level gt is not true"
    assert row["detail"] == {"clauses": [clause]}


def test_a_non_match_is_that_of_its_time(said, make_rule, decided):
    rule = make_rule(conditions=HIGH)
    event = decided({"level": 1})
    rule.conditions = {}
    changes.save_rule(rule)

    row = said(event)["demo.rule"]

    assert (row["rule_version"], row["reason"]) == (1, "conditions[0]: level gt is not true")


def test_a_deleted_rule_keeps_its_word(said, make_rule, decided):
    rule = make_rule(conditions=HIGH)
    event = decided({"level": 1})
    changes.delete_rule(rule)

    assert said(event)["demo.rule"]["outcome"] == "not_matched"


def test_who_was_no_candidate_is_not_named(said, make_rule, decided, pack):
    other = Trigger.objects.create(ref="demo.other", pack=pack, pack_ref="demo", label="Other")
    make_rule("demo.off", enabled=False)
    make_rule("demo.elsewhere", trigger=other, trigger_ref=other.ref)
    event = decided({"level": 1})
    make_rule("demo.later", conditions=HIGH)

    assert said(event) == {}


def test_an_event_for_one_rule(said, make_rule, decided):
    mine = make_rule("demo.mine", conditions=HIGH)
    make_rule("demo.not_asked")

    assert said(decided({"level": 1}, rule_id=mine.pk)).keys() == {"demo.mine"}


def test_an_undecided_event_has_no_word_yet(said, make_rule, happen):
    make_rule()

    assert said(happen()) == {}


def test_a_backstop_that_was_not_needed(said, make_rule, decided):
    make_rule()
    make_rule("demo.net", type=RuleType.BACKSTOP)

    row = said(decided())["demo.net"]

    assert row["reason"] == "a backstop is tried only when no standard rule matched"


def test_trigger_params_of_another_source(said, make_rule, decided, trigger):
    trigger.param_schema = {"room": {"type": "string"}}
    trigger.save()
    make_rule(trigger_params={"room": "a"})

    row = said(decided({}, config={"params": {"room": "b"}}))["demo.rule"]

    assert row["reason"] == "trigger_params differ from the source's: room"


@pytest.mark.parametrize(
    "condition",
    [
        {"field": "pack.config.limit", "operator": "gt", "value": 3},
        {"field": "key.demo.limit", "operator": "gt", "value": 3},
        {"field": "level", "operator": "gt", "value": "{{ pack.config.limit }}"},
        {"expression": "key.demo.limit > 3"},
        {"expression": "st2kv.system.limit > 3"},
    ],
)
def test_what_hung_on_a_setting_is_not_reproducible(said, make_rule, decided, pack, condition):
    pack.config = {"limit": 2}
    pack.save()
    make_rule(conditions=[condition])

    row = said(decided({"level": 1}))["demo.rule"]

    assert row["outcome"] == "not_matched"
    assert row["reason"].startswith("not reproducible: conditions[0]")
    assert "isn't kept" in row["reason"]


def test_a_false_clause_outweighs_what_is_not_kept(said, make_rule, decided):
    make_rule(conditions=[{"field": "pack.config.limit", "operator": "exists"}, *HIGH])

    row = said(decided({"level": 1}))["demo.rule"]

    assert row["reason"] == "conditions[1]: level gt is not true"


def test_what_would_match_now_is_not_reproducible(said, make_rule, decided, trigger):
    make_rule(conditions=HIGH)
    Trigger.objects.filter(pk=trigger.pk).update(enabled=True)
    event = decided({"level": 1})
    Event.objects.filter(pk=event.pk).update(payload={"level": 9})

    assert said(event)["demo.rule"]["reason"].startswith("not reproducible")


def test_the_list_is_paged(api, make_rule, decided):
    for name in ("demo.a", "demo.b"):
        make_rule(name)
    event = decided()

    page = api.get(f"{url(event)}?per_page=1&page=2").json()

    assert [row["rule_ref"] for row in page["data"]] == ["demo.b"]
    assert page["pagination"]["total_items"] == 2
    assert api.get(f"{url(event)}?created_after=2100-01-01").json()["data"] == []
    assert api.get(f"{url(event)}?colour=red").json()["code"] == "UNKNOWN_FILTER"
    assert api.get(f"{url(event)}?created_after=x").status_code == 400


def test_questions_do_not_grow_with_the_rules(api, make_rule, decided, django_assert_max_num_queries):
    for number in range(10):
        make_rule(f"demo.rule{number}", conditions=HIGH)
    event = decided({"level": 1})

    with django_assert_max_num_queries(10):
        assert len(api.get(url(event)).json()["data"]) == 10


def test_who_may_read(stranger, client_of, nobody, decided):
    event = decided()

    assert stranger.get(url(event)).status_code == 401
    assert client_of(nobody).get(url(event)).json()["error"] == "Permission denied: events:read"


def test_an_event_that_is_not_there(api):
    assert api.get("/api/v1/events/0/evaluations").status_code == 404
    assert api.get("/api/v1/events/abc/evaluations").status_code == 404


@pytest.mark.parametrize("gone", [False, True])
def test_rules_that_the_caller_may_not_read_are_left_out(client_of, identity_with, make_rule, decided, gone):
    rules = [make_rule(name, conditions=HIGH) for name in ("demo.mine", "demo.theirs")]
    events = {"resource": "events", "actions": ["read"]}
    one = {"resource": "rules", "actions": ["read"], "constraints": {"refs": ["demo.mine"]}}
    event = decided({"level": 1})
    for rule in rules if gone else []:
        changes.delete_rule(rule)

    rows = client_of(identity_with(events, one)).get(url(event)).json()["data"]

    assert [row["rule_ref"] for row in rows] == ["demo.mine"]
