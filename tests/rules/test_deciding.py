"""What rules say of events, without touching anything."""

from datetime import UTC, datetime

import pytest

from attune_project.language.templates import compile_template
from rules.deciding import Seen, ask, candidates, context_of, decide
from rules.models import Outcome
from rules.ruleset import build, compile_rule

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
HIGH = [{"field": "level", "operator": "gt", "value": 3}]
ROOM = {"room": {"type": "string", "default": "hall"}}


def event(payload=None, **values):
    fixed = {"id": 7, "trigger_ref": "demo.alarm", "config": {}, "rule_id": None, "source_ref": "demo.sensor"}
    more = {"trace_id": None, "created": NOON, "trigger_enabled": True}
    return Seen(**{**fixed, **more, "payload": payload, **values})


def row(number=1, **values):
    names = {"id": number, "ref": f"demo.rule{number}", "pack_ref": "demo", "trigger_ref": "demo.alarm"}
    texts = {"type": "standard", "conditions": {}, "action_params": {}, "trigger_params": {}}
    return {**names, **texts, "pack_config": {"limit": 2}, "version": 1, **values}


def refs(decisions):
    return [one.rule.ref for one in decisions]


def outcomes(payload, *rows, **values):
    return [one.outcome.value for one in decide(event(payload, **values), build(1, list(rows)))]


def test_every_rule_of_the_trigger_is_asked():
    rows = [row(1), row(2, conditions=HIGH), row(3, trigger_ref="demo.other")]

    assert outcomes({"level": 1}, *rows) == ["matched", "not_matched"]


def test_a_disabled_trigger_concerns_nobody():
    assert outcomes({}, row(), trigger_enabled=False) == []


def test_an_event_for_one_rule_concerns_no_other():
    decisions = decide(event(rule_id=2), build(1, [row(1), row(2)]))

    assert refs(decisions) == ["demo.rule2"]


@pytest.mark.parametrize("rule_id", [9, 3])
def test_a_rule_that_is_gone_or_of_another_trigger_is_not_asked(rule_id):
    assert candidates(event(rule_id=rule_id), build(1, [row(3, trigger_ref="demo.other")])) == []


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, ["demo.rule2"]),
        (HIGH, ["demo.rule2", "demo.rule1"]),
        ([{"field": "level", "operator": "gt", "value": "x"}], ["demo.rule2", "demo.rule1"]),
    ],
)
def test_backstops_are_asked_last_and_only_when_nothing_matched(conditions, expected):
    rows = [row(1, type="backstop"), row(2, conditions=conditions)]

    assert refs(decide(event({"level": 1}), build(1, rows))) == expected


def test_backstops_do_not_hold_each_other_back():
    assert outcomes({}, row(1, type="backstop"), row(2, type="backstop")) == ["matched", "matched"]


def test_a_backstop_has_conditions_of_its_own():
    assert outcomes({"level": 1}, row(1, type="backstop", conditions=HIGH)) == ["not_matched"]


def test_an_addressed_backstop_is_asked():
    decisions = decide(event(rule_id=1), build(1, [row(1, type="backstop"), row(2)]))

    assert [one.outcome for one in decisions] == [Outcome.MATCHED]


@pytest.mark.parametrize(
    ("mine", "source", "same"),
    [
        ({"room": "a"}, {"room": "a"}, True),
        ({"room": "a"}, {"room": "b"}, False),
        ({}, {"room": "hall"}, True),  # the schema's default stands for the rule's
        ({}, {"room": "b"}, False),
        ({"room": "a"}, {}, True),  # on one side only
        ({"room": "a"}, {"other": "b"}, True),
        ({"other": "a"}, {"room": "hall", "other": "b"}, True),  # not a name of the schema
    ],
)
def test_trigger_params_compare_with_those_of_the_source(mine, source, same):
    found = candidates(
        event(config={"params": source}, param_schema=ROOM), build(1, [row(trigger_params=mine)])
    )

    assert bool(found) is same


@pytest.mark.parametrize(
    ("config", "schema"),
    [
        ({}, ROOM),
        ({"params": "room"}, ROOM),
        ({"params": {"room": "b"}}, {}),
        ({"params": {"room": "b"}}, None),
    ],
)
def test_without_source_params_or_schema_they_take_no_part(config, schema):
    rules = build(1, [row(trigger_params={"room": "a"})])

    assert candidates(event(config=config, param_schema=schema), rules)


def test_params_are_rendered_on_a_match():
    params = {
        "text": "{{ event.payload.level }}",
        "rule": "{{ rule.ref }}",
        "limit": "{{ pack.config.limit }}",
    }

    decision = ask(compile_rule(row(action_params=params)), event({"level": 5}))

    assert decision.params == {"text": 5, "rule": "demo.rule1", "limit": 2}


def test_a_failing_template_is_an_error():
    decision = ask(compile_rule(row(action_params={"text": "{{ 1 / 0 }}"})), event())

    assert decision.outcome == Outcome.ERROR
    assert decision.reason == "action_params: text: division by zero"
    assert decision.params is None


def test_an_error_is_of_one_rule_only():
    bad = row(1, conditions=[{"field": "level", "operator": "gt", "value": "x"}])

    assert outcomes({"level": 1}, bad, row(2)) == ["error", "matched"]


@pytest.mark.parametrize("broken", [{"conditions": [{"field": "a"}]}, {"action_params": {"a": "{{ 1 + }}"}}])
def test_a_rule_that_can_not_be_read_answers_with_its_error(broken):
    decision = ask(compile_rule(row(**broken)), event({}))

    assert decision.outcome == Outcome.ERROR
    assert decision.reason


def test_what_a_rule_may_read():
    context = context_of(compile_rule(row()), event({"level": 1}))

    assert context["event"]["created"] == "2026-05-04T12:00:00.000000Z"
    assert context["trigger"] == {"level": 1}
    assert context["rule"] == {"id": 1, "ref": "demo.rule1", "pack_ref": "demo"}
    assert context["pack"] == {"ref": "demo", "config": {"limit": 2}}


def test_parameters_that_are_no_map_are_the_rule_s_error():
    (decision,) = decide(event(["a", "list"]), build(1, [row(action_params="{{ event.payload }}")]))

    assert decision.outcome == Outcome.ERROR
    assert decision.reason == "action_params: the value is not a map of parameters"


@pytest.mark.parametrize("where", ["rules.deciding.context_of", "rules.deciding.same_source"])
def test_a_rule_that_breaks_breaks_alone(monkeypatch, where):
    def breaks(*_):
        raise RecursionError("too deep")

    monkeypatch.setattr(where, breaks)

    (decision,) = decide(event({}), build(1, [row()]))

    assert (decision.outcome, decision.reason) == (Outcome.ERROR, "RecursionError: too deep")


def test_a_rule_that_cannot_be_compiled_leaves_the_others(monkeypatch):
    def compiles(value):
        if value == {"bad": True}:
            raise RecursionError("too deep")
        return compile_template(value)

    monkeypatch.setattr("rules.ruleset.compile_template", compiles)

    assert outcomes({}, row(1, action_params={"bad": True}), row(2)) == ["error", "matched"]
