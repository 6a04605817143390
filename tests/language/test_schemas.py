from typing import Any

import pytest

from attune_project.language.schemas import (
    check_schema,
    errors,
    is_empty,
    is_json_schema,
    normalise,
    secret_names,
    with_defaults,
)
from tests.work import at_most

FLAT: dict[str, Any] = {
    "url": {"type": "string", "required": True, "format": "uri"},
    "tries": {"type": "integer", "default": 3, "minimum": 1, "maximum": 9},
    "password": {"type": "string", "secret": True, "min_length": 8},
    "options": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "required": True},
            "token": {"secret": True},
            "n": {"default": 1},
        },
    },
    "codes": {"type": "array", "items": {"type": "integer"}, "max_length": 2},
    "extra": {"type": "any"},
}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"a": {"type": "string"}}, False),
        ({"type": {"type": "string"}}, False),
        ({"properties": {"type": "object"}}, False),
        ({"type": "object"}, True),
        ({"type": ["object", "null"]}, True),
        ({"$ref": "#/x"}, True),
        ({"anyOf": []}, True),
        ({"properties": {"a": {"type": "string"}, "b": True}}, True),
    ],
)
def test_the_forms_are_told_apart_by_their_marks(schema: dict[str, Any], expected: bool) -> None:
    assert is_json_schema(schema) is expected


def test_the_flat_form_becomes_json_schema() -> None:
    schema = {"a": {"type": "string", "required": True, "min_length": 2}, "b": {"type": "any", "default": 1}}

    assert normalise(schema) == {
        "type": "object",
        "properties": {"a": {"type": "string", "minLength": 2}, "b": {"default": 1}},
        "required": ["a"],
    }


def test_problems_are_named_by_path_and_rule_without_the_value() -> None:
    value = {"tries": 0, "password": "hunter2", "options": {}, "codes": [1, "two", 3]}

    assert errors(FLAT, value) == {
        "url": ["this field is required"],
        "tries": ["must be at least 1"],
        "password": ["must have at least 8 characters"],
        "options.name": ["this field is required"],
        "codes": ["must have at most 2 items"],
        "codes[1]": ["expected integer"],
    }


def test_what_fits_has_no_problems() -> None:
    value = {"url": "https://example.org/x", "tries": 2, "extra": [None], "more": "is allowed"}

    assert errors(FLAT, value) == {}
    assert errors(None, value) == errors({}, value) == {}


def test_additional_properties_are_refused_when_the_schema_says_so() -> None:
    schema = {"type": "object", "properties": {"a": True}, "additionalProperties": False}

    assert errors(schema, {"a": 1, "b": 2}) == {"b": ["unknown field"]}


def test_templates_fit_everywhere_until_they_are_rendered() -> None:
    value = {"url": "{{ x }}", "tries": "{{ y }}", "codes": ["{{ z }}"], "password": "short"}

    assert errors(FLAT, value, templated_fits=True) == {"password": ["must have at least 8 characters"]}
    assert set(errors(FLAT, value)) == {"url", "tries", "codes[0]", "password"}


def test_templates_fit_alternatives() -> None:
    schema = {"oneOf": [{"type": "integer"}, {"type": "boolean"}]}

    assert errors(schema, "{{ x }}", templated_fits=True) == {}
    assert errors(schema, "x", templated_fits=True)


@pytest.mark.parametrize(
    ("form", "good", "bad"),
    [
        ("date-time", "2024-01-02T03:04:05Z", "2024-01-02T03:04:05"),
        ("date", "2024-01-02", "2024-1-2"),
        ("email", "a@b.c", "a b@c"),
        ("ipv4", "10.0.0.1", "10.0.0.256"),
        ("ipv6", "::1", "10.0.0.1"),
        ("uri", "https://a/b", "/a/b"),
        ("uuid", "6f9619ff-8b86-d011-b42d-00cf4fc964ff", "6f9619ff"),
    ],
)
def test_formats_are_asserted(form: str, good: str, bad: str) -> None:
    schema = {"a": {"type": "string", "format": form}}

    assert errors(schema, {"a": good}) == {}
    assert errors(schema, {"a": bad}) == {"a": [f"must be a valid {form}"]}


def test_patterns_cannot_run_away() -> None:
    schema = {"a": {"type": "string", "pattern": "^(a+)+$"}}

    assert errors(schema, {"a": "a" * 5000 + "b"}) == {"a": ["must match the pattern ^(a+)+$"]}


def test_pattern_properties_cannot_run_away() -> None:
    schema = {
        "type": "object",
        "patternProperties": {"^(a+)+$": {"type": "integer"}},
        "additionalProperties": False,
    }

    assert errors(schema, {"aa": "x"}) == {"aa": ["expected integer"]}
    assert errors(schema, {"a" * 5000 + "b": 1}) == {"a" * 5000 + "b": ["unknown field"]}


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ([1], ""),
        (True, ""),
        ({"a": 1}, "a"),
        ({"a": {"type": "strng"}}, "a.type"),
        ({"a": {"required": "yes"}}, "a.required"),
        ({"a": {"type": "object", "properties": {"b": 5}}}, "a.b"),
        ({"a": {"type": "string", "minimum": "x"}}, "properties.a.minimum"),
        ({"type": "strng"}, "type"),
        ({"$ref": "https://example.org/x"}, "$ref"),
        ({"$ref": "#/$defs/nope"}, "$ref"),
        ({"properties": {"a": {"$ref": "other.json"}}}, "properties.a.$ref"),
        ({"a": {"type": "string", "pattern": "(?=x)"}}, "properties.a.pattern"),
        ({"type": "object", "patternProperties": {"(": True}}, "pattern"),
        ({"patternProperties": {"a": True}, "allOf": [], "unevaluatedProperties": False}, "allOf"),
        (
            {"type": "object", "patternProperties": {"a": True}, "unevaluatedProperties": False},
            "unevaluatedProperties",
        ),
        ({"a": {"default": "\x00"}}, "a.default"),
    ],
)
def test_schemas_that_cannot_be_used_are_refused_by_path(schema: Any, path: str) -> None:
    assert list(check_schema(schema)) == [path]


@pytest.mark.parametrize(
    "schema", [None, {}, FLAT, {"$defs": {"t": {"type": "string"}}, "$ref": "#/$defs/t"}]
)
def test_good_schemas_have_no_problems(schema: Any) -> None:
    assert check_schema(schema) == {}


def test_a_schema_that_only_refers_to_itself_fits_nothing() -> None:
    assert errors({"$ref": "#"}, {}) == {"": ["the schema refers to itself too deeply for this value"]}


def test_a_recursive_schema_follows_the_value() -> None:
    schema = {
        "$ref": "#/$defs/node",
        "$defs": {"node": {"properties": {"next": {"$ref": "#/$defs/node"}, "n": {"type": "integer"}}}},
    }
    value: dict[str, Any] = {"n": "x"}
    for _ in range(30):
        value = {"next": value}

    assert errors(schema, value) == {"next." * 30 + "n": ["expected integer"]}


def test_defaults_fill_what_is_absent() -> None:
    given = {"url": "x", "tries": None, "options": {"name": "y"}}

    assert with_defaults(FLAT, given) == {"url": "x", "tries": None, "options": {"name": "y", "n": 1}}
    assert with_defaults(FLAT, {})["tries"] == 3
    assert given["options"] == {"name": "y"}


def test_defaults_are_not_shared() -> None:
    schema = {"a": {"type": "array", "default": []}}

    with_defaults(schema, {})["a"].append(1)

    assert with_defaults(schema, {}) == {"a": []}


def test_secrets_are_named_in_both_forms() -> None:
    listed = {"type": "object", "properties": {"keys": {"type": "array", "items": {"secret": True}}}}

    assert secret_names(FLAT) == {"password", "options.token"}
    assert secret_names(listed) == {"keys"}
    assert secret_names(None) == frozenset()


@pytest.mark.parametrize("schema", [None, {}, {"type": "object"}, {"type": "object", "properties": {}}])
def test_schemas_that_name_nothing_are_empty(schema: Any) -> None:
    assert is_empty(schema)
    assert not is_empty(FLAT)
    assert not is_empty({"$ref": "#/$defs/x"})


def test_checking_a_value_takes_few_steps() -> None:
    value = {"url": "https://example.org/x", "tries": 2, "codes": [1]}
    errors(FLAT, value)

    with at_most(calls=400):
        errors(FLAT, value)
