"""Rules that are looked up instead of asked: what is left out would not have matched."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attune_project.language.conditions import compile_conditions
from attune_project.language.needs import needs_of
from rules.candidates import Candidates
from rules.deciding import Seen, decide
from rules.models import Outcome
from rules.ruleset import build

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
SCHEMA = {"room": {"type": "string", "default": "hall"}, "floor": {"type": "integer"}}


def equal(field: str, value: Any) -> dict[str, Any]:
    return {"field": field, "operator": "equals", "value": value}


def among(field: str, *values: Any) -> dict[str, Any]:
    return {"field": field, "operator": "in", "value": list(values)}


WRONG = {"field": "a", "operator": "startswith", "value": "x"}  # an error on a number


def possible(
    conditions: list[Any], payload: Any, params: Any = None, trigger_params: Any = None
) -> list[int]:
    """Return the numbers of the rules with these conditions that would be asked."""
    rules = [
        SimpleNamespace(number=number, needs=needs_of(compile_conditions(raw).root), trigger_params=given)
        for number, (raw, given) in enumerate(
            zip(conditions, trigger_params or [{}] * len(conditions), strict=True)
        )
    ]
    context = {"event": {"payload": payload, "source_ref": "demo.sensor", "config": {}}}
    return [rule.number for rule in Candidates(rules).possible(context, payload, params)]


@pytest.mark.parametrize(
    "conditions",
    [
        [equal("host", "a")],
        {"all": [{"field": "level", "operator": "gt", "value": 3}, equal("host", "a")]},
        {"all": [{"all": [equal("host", "a")]}, {"any": []}]},
        {"any": [equal("host", "a"), equal("name", "a")]},
        [among("host", "a", "c")],
        {"trigger.host": {"type": "equals", "pattern": "a"}},
        [equal("event.payload.host", "a")],
        [equal("payload.host", "a")],
        [equal("host", "a"), WRONG],
        [equal("event.source_ref", "demo.other")],
    ],
)
def test_a_rule_whose_equal_value_differs_is_not_asked(conditions):
    assert possible([conditions], {"host": "b", "a": 1}) == []


@pytest.mark.parametrize(
    "conditions",
    [
        None,
        [equal("host", "b")],
        [among("host", "a", "b")],
        {"any": [equal("host", "a"), equal("a", 1)]},
        {"any": [equal("host", "a"), WRONG]},
        {"not": equal("host", "a")},
        [{"field": "host", "operator": "nequals", "value": "a"}],
        [{"field": "host", "operator": "iequals", "value": "a"}],
        [{"field": "host", "operator": "in", "value": "abc"}],
        [equal("host", "{{ event.payload.host }}")],
        [equal("..host", "a")],
        [equal("host", ["b"])],
        [equal("pack.config.host", "b")],
        [equal("key.host", "b")],
        {"expression": "event.payload.host == 'a'"},
        {
            "items": {
                "type": "search",
                "condition": "any",
                "pattern": {"item.x": {"type": "eq", "pattern": 1}},
            }
        },
        [WRONG],
    ],
)
def test_any_other_rule_is_asked(conditions):
    assert possible([conditions], {"host": "b", "a": 1}) == [0]


@pytest.mark.parametrize("value", [1, 1.0, True])
@pytest.mark.parametrize("pattern", [1, 1.0, True])
def test_numbers_and_booleans_are_equal_as_in_clauses(value, pattern):
    assert possible([[equal("n", pattern)]], {"n": value}) == [0]


@pytest.mark.parametrize("payload", [None, {}, [], "7", {"n": None}, {"n": "7"}, {"n": [7]}, {"n": {"n": 7}}])
def test_nothing_else_is_equal_to_a_number(payload):
    assert possible([[equal("n", 7)]], payload) == []


def test_a_payload_that_is_one_value_is_looked_at():
    assert possible([[equal("event.payload", "x")], [equal("event.payload", "y")]], "x") == [0]


def test_rules_keep_their_order():
    conditions = [[equal("host", "b")], None, [equal("host", "a")], [among("host", "b", "c")], [WRONG]]

    assert possible(conditions, {"host": "b"}) == [0, 1, 3, 4]


def test_the_rarest_need_of_a_rule_is_looked_up():
    conditions = [[equal("kind", "alarm"), equal("host", str(number))] for number in range(50)]

    assert possible(conditions, {"kind": "alarm", "host": "7"}) == [7]


def test_a_rule_without_a_need_is_looked_up_by_its_trigger_parameters():
    given = [{"room": "a"}, {"room": "b"}, {}, {"floor": 1}]

    assert possible([None] * 4, {}, {"room": "b"}, given) == [1, 2, 3]
    assert possible([None] * 4, {}, {"room": ["b"]}, given) == [2, 3]
    assert possible([None] * 4, {}, None, given) == [0, 1, 2, 3]


SCALARS = st.sampled_from([0, 1, 1.0, True, False, "1", "", "a", "b", None, [1], {"a": 1}])
FIELDS = st.sampled_from(
    ["a", "b", "a.b", "a[0]", "payload.a", "payload", "event.payload.a", "event.payload", "event.source_ref",
     "event.config.params.room", "..a", "rule.ref", "pack.config.limit", "key.a", "b[*]"]
)  # fmt: skip
OPERATORS = st.sampled_from(["equals", "eq", "in", "nequals", "gt", "startswith", "exists", "nexists", "nin"])
PATTERNS = SCALARS | st.lists(SCALARS, max_size=3) | st.sampled_from(["{{ event.payload.a }}", "demo.sensor"])
CLAUSES = st.builds(
    lambda field, operator, value: {"field": field, "operator": operator, "value": value},
    FIELDS,
    OPERATORS,
    PATTERNS,
)
GROUPS = st.recursive(
    CLAUSES,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda members: {"all": members})
        | st.lists(inner, max_size=3).map(lambda members: {"any": members})
        | inner.map(lambda member: {"not": member})
    ),
    max_leaves=6,
)
CRITERIA = st.dictionaries(
    st.sampled_from(["trigger.a", "trigger.b", "trigger", "a", "trigger.a.b"]),
    st.builds(
        lambda kind, pattern: {"type": kind, "pattern": pattern},
        st.sampled_from(["equals", "nequals", "inside", "startswith"]),
        PATTERNS,
    ),
    max_size=3,
)
CONDITIONS = st.none() | st.lists(GROUPS, max_size=3) | CRITERIA
PARAMS = st.dictionaries(st.sampled_from(["room", "floor", "other"]), SCALARS, max_size=2)
RULES = st.lists(st.tuples(CONDITIONS, PARAMS, st.sampled_from(["standard", "backstop"])), max_size=8)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["a", "b", "payload"]), inner, max_size=3)
    ),
    max_leaves=6,
)
CONFIGS = st.just({}) | PARAMS.map(lambda params: {"params": params}) | st.just({"params": "none"})


@settings(deadline=None, max_examples=300)
@given(RULES, VALUES, CONFIGS, st.sampled_from([None, SCHEMA, {"type": "object", "properties": ["odd"]}]))
def test_what_is_left_out_would_not_have_matched(rules, payload, config, schema):
    rows = [
        {"id": number, "ref": f"demo.r{number}", "pack_ref": "demo", "trigger_ref": "demo.alarm",
         "type": kind, "conditions": conditions, "action_params": {"n": number}, "trigger_params": given,
         "pack_config": {"limit": 1}, "version": 1}
        for number, (conditions, given, kind) in enumerate(rules)
    ]  # fmt: skip
    event = Seen(7, "demo.alarm", payload, config, None, "demo.sensor", None, NOON, True, schema)
    ruleset = build(1, rows)

    asked, every = decide(event, ruleset), decide(event, ruleset, every=True)

    assert said(asked) == said(every)
    assert {one.rule.id for one in asked} <= {one.rule.id for one in every}


def said(decisions):
    """Return what is kept of decisions: matches and errors."""
    kept = [one for one in decisions if one.outcome != Outcome.NOT_MATCHED]
    return [(one.rule.id, one.outcome, one.reason, one.params) for one in kept]
