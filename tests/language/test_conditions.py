from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attune_project.language.conditions import Clause, ConditionError, Verdict, compile_conditions
from tests.work import at_most

PAYLOAD = {
    "host": "web-07",
    "sev": 3,
    "none": None,
    "empty": "",
    "tags": ["prod", "db"],
    "tanks": [{"id": 1, "level": 43, "ok": True}, {"id": 2, "level": 55, "ok": True}],
    "event": {"action": "opened"},
}
EVENT = {"id": 4, "trigger_ref": "a.b", "config": {"params": {"x": 1}}, "payload": PAYLOAD}
CONTEXT = {
    "event": EVENT,
    "trigger": PAYLOAD,
    "rule": {"ref": "p.r"},
    "pack": {"config": {"limit": 2}},
    "key": {"team.name": "web-07"},
}

TRUE = {"field": "sev", "operator": "eq", "value": 3}
FALSE = {"field": "sev", "operator": "eq", "value": 4}
ERROR = {"field": "sev", "operator": "startswith", "value": "x"}


def verdict(raw: Any, context: Any = CONTEXT, *, explain: bool = False) -> Verdict:
    return compile_conditions(raw).evaluate(context, explain=explain)


def outcome(raw: Any, payload: Any = PAYLOAD) -> str:
    context = {**CONTEXT, "event": {**EVENT, "payload": payload}, "trigger": payload}
    explained = verdict(raw, context, explain=True).outcome
    assert verdict(raw, context).outcome == explained
    return explained


def clause(field: str, operator: str, value: Any = None) -> list[dict[str, Any]]:
    return [{"field": field, "operator": operator, "value": value}]


def problems(raw: Any) -> dict[str, list[str]]:
    with pytest.raises(ConditionError) as caught:
        compile_conditions(raw)
    return caught.value.details


@pytest.mark.parametrize("raw", [None, {}, [], {"all": []}])
def test_nothing_is_always_true(raw: Any) -> None:
    assert outcome(raw, payload=None) == "matched"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ([TRUE, TRUE], "matched"),
        ([TRUE, FALSE], "not_matched"),
        ({"any": []}, "not_matched"),
        ({"any": [FALSE, TRUE]}, "matched"),
        ({"not": FALSE}, "matched"),
        ({"not": {"any": [FALSE, {"all": [TRUE, {"not": TRUE}]}]}}, "matched"),
        ([TRUE, ERROR], "error"),
        ([ERROR, FALSE], "not_matched"),
        ([FALSE, ERROR], "not_matched"),
        ({"any": [ERROR, TRUE]}, "matched"),
        ({"any": [ERROR, FALSE]}, "error"),
        ({"not": ERROR}, "error"),
        ({"any": [{"not": ERROR}, {"expression": "trigger.sev == 3"}]}, "matched"),
    ],
)
def test_groups_know_three_outcomes(raw: Any, expected: str) -> None:
    assert outcome(raw) == expected


@pytest.mark.parametrize(
    "field",
    [
        "host",
        "payload.host",
        "event.payload.host",
        "['host']",
        "..host",
    ],
)
def test_paths_start_in_the_payload(field: str) -> None:
    assert outcome(clause(field, "eq", "web-07")) == "matched"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("event.id", 4),
        ("event.trigger_ref", "a.b"),
        ("event.config.params.x", 1),
        ("event.action", "opened"),
        ("rule.ref", "p.r"),
        ("pack.config.limit", 2),
        ("key.team.name", "web-07"),
        ("tanks[*].level", 43),
    ],
)
def test_some_paths_address_the_context(field: str, value: Any) -> None:
    assert outcome(clause(field, "eq", value)) == "matched"


def test_a_payload_key_named_payload_wins() -> None:
    assert outcome(clause("payload.x", "eq", 1), payload={"payload": {"x": 1}, "x": 2}) == "matched"
    assert outcome(clause("payload.x", "eq", 2), payload={"x": 2}) == "matched"


@pytest.mark.parametrize("operator", ["eq", "neq", "contains", "gt", "regex", "exists", "cidr"])
@pytest.mark.parametrize("field", ["nope", "none", "host.deeper"])
def test_a_missing_field_is_false_and_no_error(field: str, operator: str) -> None:
    assert outcome(clause(field, operator, "x")) == "not_matched"


@pytest.mark.parametrize("operator", ["nexists", "not_exists", "is_empty"])
def test_a_missing_field_is_what_some_operators_look_for(operator: str) -> None:
    assert outcome(clause("nope", operator)) == "matched"


@pytest.mark.parametrize(
    ("operator", "expected"), [("eq", "not_matched"), ("lt", "not_matched"), ("neq", "matched")]
)
def test_a_null_value_is_false_except_for_nequals(operator: str, expected: str) -> None:
    assert outcome(clause("sev", operator, None)) == expected


def test_without_payload_its_clauses_are_false_and_the_others_count() -> None:
    assert outcome(clause("nope", "nexists"), payload=None) == "not_matched"
    assert outcome(clause("event.id", "eq", 4), payload=None) == "matched"
    assert outcome({"not": TRUE}, payload=None) == "matched"
    assert outcome(clause("nope", "nexists"), payload={}) == "matched"


@pytest.mark.parametrize(
    "expression", ["event.payload.x == null", "{{ not trigger.x }}", "event['payload'] == null"]
)
def test_without_payload_an_expression_that_reads_it_is_false(expression: str) -> None:
    assert outcome({"expression": expression}, payload=None) == "not_matched"
    assert outcome({"expression": "event.id == 4"}, payload=None) == "matched"


def test_values_are_rendered_and_keep_their_type() -> None:
    assert outcome(clause("sev", "eq", "{{ pack.config.limit + 1 }}")) == "matched"
    assert outcome(clause("host", "eq", "{{ key.team.name }}")) == "matched"
    assert outcome(clause("host", "in", ["{{ trigger.host }}"])) == "not_matched"
    assert outcome(clause("sev", "eq", "{{ key.nope }}")) == "not_matched"
    assert outcome(clause("sev", "eq", "{{ 1 / 0 }}")) == "error"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"trigger.sev": {"type": "eq", "pattern": 3}}, "matched"),
        (
            {"trigger.sev#lo": {"type": "gt", "pattern": 2}, "trigger.sev#hi": {"type": "lt", "pattern": 4}},
            "matched",
        ),
        ({"trigger.tags[0]": {"type": "StartsWith", "pattern": "pr"}}, "matched"),
        ({"trigger.nope": {"type": "nequals", "pattern": "x"}}, "matched"),
        ({"trigger.nope": {"type": "nequals", "pattern": None}}, "not_matched"),
        ({"trigger.nope": {"type": "nequals", "pattern": "{{ key.nope }}"}}, "not_matched"),
        ({"trigger.sev": {"type": "nequals", "pattern": None}}, "matched"),
        ({"trigger.all": {"type": "nexists"}}, "matched"),
        ({"all": {"type": "nexists"}}, "matched"),
    ],
)
def test_criteria_maps(raw: Any, expected: str) -> None:
    assert outcome(raw) == expected


def test_in_criteria_an_empty_payload_counts_as_none() -> None:
    assert outcome({"trigger.nope": {"type": "nexists"}}, payload={}) == "not_matched"


LEVELS = {"item.level#a": {"type": "gt", "pattern": 40}, "item.level#b": {"type": "lt", "pattern": 50}}


@pytest.mark.parametrize(
    ("condition", "pattern", "items", "expected"),
    [
        ("any", LEVELS, PAYLOAD["tanks"], "matched"),
        ("all", LEVELS, PAYLOAD["tanks"], "not_matched"),
        ("all2any", LEVELS, PAYLOAD["tanks"], "matched"),
        ("any2any", LEVELS, [{"level": 60}], "matched"),
        ("any", LEVELS, {"level": 45}, "matched"),
        ("any", {"item": {"type": "eq", "pattern": "w"}}, "web", "matched"),
        ("any", LEVELS, [], "not_matched"),
        ("all", LEVELS, [], "matched"),
        ("any", {}, [1], "matched"),
        ("all2any", {}, [1], "not_matched"),
        (
            "any2any",
            {"item.x": {"type": "lt", "pattern": "a"}, "item.y": {"type": "exists"}},
            [{"x": 1, "y": 1}],
            "matched",
        ),
        ("some", LEVELS, [], "error"),
        (None, LEVELS, [], "error"),
        ("any", LEVELS, 5, "error"),
        ("any", LEVELS, None, "not_matched"),
    ],
)
def test_search(condition: Any, pattern: Any, items: Any, expected: str) -> None:
    criteria = {"trigger.x": {"type": "search", "condition": condition, "pattern": pattern}}
    clauses = [{"field": "x", "operator": "search", "condition": condition, "value": pattern}]

    assert outcome(criteria, payload={"x": items, "y": 1}) == expected
    assert outcome(clauses, payload={"x": items, "y": 1}) == expected


def test_searches_nest() -> None:
    inner = {"type": "search", "condition": "any", "pattern": {"item": {"type": "gt", "pattern": 2}}}
    criteria = {"trigger.rows": {"type": "search", "condition": "all", "pattern": {"item.cells": inner}}}

    assert outcome(criteria, payload={"rows": [{"cells": [1, 3]}, {"cells": [4]}]}) == "matched"
    assert outcome(criteria, payload={"rows": [{"cells": [1, 3]}, {"cells": [1]}]}) == "not_matched"


def test_the_reason_names_the_deciding_place() -> None:
    assert verdict([TRUE, FALSE]).reason == "conditions[1]: sev eq is not true"
    assert verdict({"all": clause("nope", "eq", 1)}).reason == "conditions.all[0]: nope is missing"
    assert (
        verdict([ERROR]).reason == "conditions[0]: sev startswith: startswith does not take number and string"
    )
    assert verdict([TRUE]).reason is None


def test_every_clause_is_explained_when_asked() -> None:
    found = verdict({"any": [TRUE, FALSE, ERROR, {"expression": "trigger.sev + 1"}]}, explain=True)

    assert found.matched
    assert found.clauses == (
        Clause("sev", "eq", 3, 3, "matched"),
        Clause("sev", "eq", 3, 4, "not_matched"),
        Clause("sev", "startswith", 3, "x", "error"),
        Clause("expression", "expression", 4, "{{ trigger.sev + 1 }}", "matched"),
    )


@pytest.mark.parametrize(
    ("raw", "path", "message"),
    [
        (5, "conditions", "expected a list of clauses"),
        (TRUE, "conditions", "a single clause stands in a list"),
        (
            [{"field": "a", "operator": "foo"}],
            "conditions[0].operator",
            "unknown operator 'foo'; one of between,",
        ),
        ([{"field": "a", "operator": 5}], "conditions[0].operator", "named by text, not number"),
        ([{"field": "a"}], "conditions[0].operator", "required"),
        ([{"operator": "eq"}], "conditions[0].field", "required"),
        ([{"field": "a[", "operator": "eq"}], "conditions[0].field", "can't be read from column 2"),
        ([{**TRUE, "vale": 1}], "conditions[0].vale", "unknown key"),
        ([{**TRUE, "condition": "any"}], "conditions[0].condition", "only search"),
        (clause("a", "regex", "("), "conditions[0].value", "missing"),
        (clause("a", "iregex", "(?!a)"), "conditions[0].value", "look-ahead"),
        (clause("a", "between", 5), "conditions[0].value", "two values"),
        (clause("a", "count", {"regex": 5}), "conditions[0].value", "count can't use regex"),
        (clause("a", "eq", "{{ 1 + }}"), "conditions[0].value", "can't be read"),
        (clause("a", "eq", "{{ nope() }}"), "conditions[0].value", "unknown function"),
        ({"all": 5}, "conditions.all", "expected a list"),
        ({"all": [5]}, "conditions.all[0]", "expected a clause"),
        ({"all": [], "any": []}, "conditions", "exactly one of all, any, not"),
        ({"not": [TRUE]}, "conditions.not", "expected a clause"),
        (
            {"all": [{"any": [{"not": {"field": "a", "operator": "x"}}]}]},
            "conditions.all[0].any[0].not.operator",
            "'x'",
        ),
        ({"expression": "a b"}, "conditions.expression", "can't be read"),
        ({"expression": 5}, "conditions.expression", "as text"),
        ({"expression": "a", "x": 1}, "conditions", "stands alone"),
        ({"trigger.a": 5}, "conditions.trigger.a", "expected {type, pattern}"),
        ({"trigger.a": {"pattern": 5}}, "conditions.trigger.a.type", "required"),
        ({"trigger.a": {"type": "weird"}}, "conditions.trigger.a.type", "unknown operator"),
        ({"trigger.a": {"type": "search", "pattern": 5}}, "conditions.trigger.a.pattern", "takes a map"),
        (
            {"trigger.a": {"type": "search", "pattern": {"b": {"type": "eq"}}}},
            "conditions.trigger.a.pattern.b",
            "begin with 'item'",
        ),
    ],
)
def test_what_is_not_part_of_the_language_is_refused_by_path(raw: Any, path: str, message: str) -> None:
    details = problems(raw)

    assert list(details) == [path]
    assert message in details[path][0]


def test_all_problems_are_named_at_once() -> None:
    assert set(problems([{"field": "a[", "operator": "x"}, {"operator": "eq"}])) == {
        "conditions[0].field",
        "conditions[0].operator",
        "conditions[1].field",
    }


def test_groups_nest_to_depth_20() -> None:
    raw: Any = TRUE
    for _ in range(20):
        raw = {"not": raw}

    assert outcome(raw) == "matched"
    assert "nested deeper than 20 levels" in str(problems({"not": raw}))


def test_a_simple_clause_takes_few_steps() -> None:
    conditions = compile_conditions([TRUE])

    with at_most(calls=50):
        conditions.evaluate(CONTEXT)


WORDS = st.sampled_from(
    [
        "all",
        "any",
        "not",
        "field",
        "operator",
        "value",
        "expression",
        "type",
        "pattern",
        "condition",
        "trigger.x",
    ]
)
LEAVES = st.sampled_from(
    [
        None,
        1,
        "x",
        "eq",
        "regex",
        "(",
        "search",
        "any",
        "{{ trigger.x }}",
        "{{ 1 / 0 }}",
        "{{",
        "a[",
        "item.x",
    ]
)
RAW = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(RAW, RAW)
def test_anything_is_decided_or_refused(raw: Any, payload: Any) -> None:
    try:
        conditions = compile_conditions(raw)
    except ConditionError:
        return

    context = {"event": {"payload": payload}, "trigger": payload}
    assert conditions.evaluate(context, explain=True).outcome == conditions.evaluate(context).outcome
