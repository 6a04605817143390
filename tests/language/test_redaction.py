"""Secrets in what is shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attune_project.language.redaction import MARKER, all_redacted, redacted, unredacted

M = dict(MARKER)
FLAT = {
    "user": {"type": "string"},
    "token": {"secret": True},
    "auth": {"properties": {"key": {"secret": True}}},
}
STANDARD = {"type": "object", "properties": {"a": {"type": "string", "secret": True}, "b": {}}}
LIST = {"tokens": {"type": "array", "items": {"type": "string", "secret": True}}}
DOTTED = {"a.b": {"secret": True}}


@pytest.mark.parametrize(
    ("schema", "values", "shown"),
    [
        (None, {"a": 1}, {"a": 1}),
        (FLAT, {}, {}),
        (FLAT, {"user": "u", "token": "t"}, {"user": "u", "token": M}),
        (FLAT, {"token": None}, {"token": None}),
        (FLAT, {"token": {"deep": [1]}}, {"token": M}),
        (FLAT, {"token": 0, "unknown": "x"}, {"token": M, "unknown": "x"}),
        (FLAT, {"auth": {"key": "k", "other": 1}}, {"auth": {"key": M, "other": 1}}),
        (FLAT, {"auth": "not a map"}, {"auth": "not a map"}),
        (STANDARD, {"a": "x", "b": "y"}, {"a": M, "b": "y"}),
        (LIST, {"tokens": ["a", "b"]}, {"tokens": M}),
        (DOTTED, {"a.b": 1, "a": {"b": 2}}, {"a.b": M, "a": {"b": M}}),
    ],
)
def test_secrets_are_markers(schema, values, shown):
    assert redacted(schema, values) == shown


def test_what_is_shown_is_a_copy():
    values = {"auth": {"key": "k"}}

    redacted(FLAT, values)

    assert values == {"auth": {"key": "k"}}


def test_without_a_schema_to_go_by_everything_is_hidden():
    assert all_redacted({"a": 1, "b": None, "c": {}}) == {"a": M, "b": None, "c": M}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
SECRETS = {
    "a": {"type": "any", "secret": True},
    "b": {"type": "object", "properties": {"a": {"type": "any", "secret": True}}},
}


@given(st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3))
def test_what_was_shown_is_what_it_was(values):
    assert unredacted(redacted(SECRETS, values), values) == values


@pytest.mark.parametrize(
    ("shown", "values", "meant"),
    [
        ({"a": dict(MARKER)}, {"a": "s"}, {"a": "s"}),
        ({"a": dict(MARKER)}, {"b": "s"}, {"a": dict(MARKER)}),
        ({"b": {"a": dict(MARKER), "c": 2}}, {"b": {"a": "s", "c": 1}}, {"b": {"a": "s", "c": 2}}),
        ({"b": [dict(MARKER)]}, {"b": ["s"]}, {"b": [dict(MARKER)]}),
        ({"c": "new"}, {"a": "s", "c": "old"}, {"c": "new"}),
    ],
)
def test_a_marker_stands_for_what_was_at_its_place(shown, values, meant):
    assert unredacted(shown, values) == meant
