"""Secrets in what is shown."""

import pytest

from attune_project.language.redaction import MARKER, all_redacted, redacted

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
