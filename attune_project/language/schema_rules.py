"""The validators behind schemas.py: jsonschema with RE2 patterns, a fixed set of formats, short messages."""

import ipaddress
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from typing import Any
from urllib.parse import urlsplit

import jsonschema
from jsonschema import FormatChecker
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from .regexes import Regex, RegexError, compile_regex

Rule = Callable[..., Iterator[ValidationError]]


class RegexRefused(ValueError):
    """A pattern of a schema that can't be used on this value."""


def _matches(pattern: str, text: str) -> bool:
    try:
        return _regex(pattern).search(text) is not None
    except RegexError as error:
        raise RegexRefused(str(error)) from None


def _regex(pattern: str) -> Regex:
    return compile_regex(pattern)


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not _matches(pattern, instance):
        yield ValidationError("pattern")


def _pattern_properties(
    validator: Any, patterns: Mapping[str, Any], instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    for pattern, subschema in patterns.items():
        for name, value in instance.items():
            if _matches(pattern, name):
                yield from validator.descend(value, subschema, path=name, schema_path=pattern)


def extra_names(instance: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    """Return the names that neither `properties` nor `patternProperties` describe."""
    patterns = schema.get("patternProperties", {})
    unknown = [name for name in instance if name not in schema.get("properties", {})]
    return [name for name in unknown if not any(_matches(pattern, name) for pattern in patterns)]


def _additional_properties(
    validator: Any, allowed: Any, instance: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    extra = extra_names(instance, schema)
    if allowed is False and extra:
        yield ValidationError("additionalProperties")
    elif isinstance(allowed, dict):
        for name in extra:
            yield from validator.descend(instance[name], allowed, path=name)


FORMATS = FormatChecker(formats=())


@FORMATS.checks("date-time", raises=ValueError)
def _date_time(value: object) -> bool:
    return not isinstance(value, str) or (
        "T" in value.upper() and datetime.fromisoformat(value).tzinfo is not None
    )


@FORMATS.checks("date", raises=ValueError)
def _date(value: object) -> bool:
    return not isinstance(value, str) or (len(value) == 10 and bool(date.fromisoformat(value)))


@FORMATS.checks("email")
def _email(value: object) -> bool:
    return not isinstance(value, str) or re.fullmatch(r"[^\s@]+@[^\s@]+", value) is not None


@FORMATS.checks("ipv4", raises=ValueError)
def _ipv4(value: object) -> bool:
    return not isinstance(value, str) or bool(ipaddress.IPv4Address(value))


@FORMATS.checks("ipv6", raises=ValueError)
def _ipv6(value: object) -> bool:
    return not isinstance(value, str) or bool(ipaddress.IPv6Address(value))


@FORMATS.checks("uri", raises=ValueError)
def _uri(value: object) -> bool:
    if not isinstance(value, str):
        return True
    return bool(urlsplit(value).scheme) and not re.search(r"\s", value)


@FORMATS.checks("uuid", raises=ValueError)
def _uuid(value: object) -> bool:
    return not isinstance(value, str) or (len(value) == 36 and bool(uuid.UUID(value)))


_OWN: dict[str, Any] = {
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
}
_extend: Callable[..., Any] = extend
_Strict = _extend(jsonschema.Draft202012Validator, _OWN)


def _unless_templated(rule: Rule) -> Rule:
    def lenient(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        if isinstance(instance, str) and "{{" in instance:
            return
        yield from rule(validator, value, instance, schema)

    return lenient


# Several alternatives of oneOf may fit a template whose value isn't known yet: any will do.
_RULES = {**_Strict.VALIDATORS, "oneOf": _Strict.VALIDATORS["anyOf"]}
_Templated = _extend(_Strict, {keyword: _unless_templated(rule) for keyword, rule in _RULES.items()})


def strict(schema: Any) -> Any:
    """Make the validator of values that are known."""
    return _Strict(schema, format_checker=FORMATS)


def templated(schema: Any) -> Any:
    """Make the validator that lets strings with `{{` fit everywhere."""
    return _Templated(schema, format_checker=FORMATS)


_MESSAGES = {
    "required": "this field is required",
    "additionalProperties": "unknown field",
    "unevaluatedProperties": "unknown field",
    "type": "expected {0}",
    "enum": "must be one of {0}",
    "const": "must be {0}",
    "minimum": "must be at least {0}",
    "maximum": "must be at most {0}",
    "exclusiveMinimum": "must be greater than {0}",
    "exclusiveMaximum": "must be less than {0}",
    "multipleOf": "must be a multiple of {0}",
    "minLength": "must have at least {0} characters",
    "maxLength": "must have at most {0} characters",
    "minItems": "must have at least {0} items",
    "maxItems": "must have at most {0} items",
    "minProperties": "must have at least {0} entries",
    "maxProperties": "must have at most {0} entries",
    "pattern": "must match the pattern {0}",
    "format": "must be a valid {0}",
    "uniqueItems": "items must differ from each other",
    "anyOf": "fits none of the alternatives",
    "oneOf": "must fit exactly one of the alternatives",
    "not": "must not fit what the schema excludes",
    "contains": "holds no item of the expected kind",
    "dependentRequired": "a field that goes with another one is missing",
}


def message_of(error: ValidationError) -> str:
    """Say which rule is broken; the value itself stays out, since it may be secret or huge."""
    template = _MESSAGES.get(str(error.validator), "does not fit the schema's {1}")
    return template.format(_shown(error.validator_value), error.validator)


def _shown(rule: Any) -> str:
    text = ", ".join(str(each) for each in rule) if isinstance(rule, list) else str(rule)
    return text if len(text) <= 200 else f"{text[:200]}..."


def places_of(error: ValidationError) -> list[list[str]]:
    """Return where, below the value in error, the message belongs: at the missing or unknown names."""
    instance: Any = error.instance
    rule = error.validator_value
    if error.validator == "required" and isinstance(rule, list):
        return [[name] for name in rule if name not in instance]
    if error.validator == "additionalProperties" and rule is False and isinstance(error.schema, dict):
        return [[name] for name in extra_names(instance, error.schema)]
    return [[]]


def problems_of_patterns(schema: dict[str, Any]) -> dict[str, list[str]]:
    """Refuse patterns that RE2 refuses, and unevaluatedProperties beside patterns.

    jsonschema searches the latter with Python's `re`, which a pattern could keep busy for ever.
    """
    problems: dict[str, list[str]] = {}
    unevaluated = patterned = False
    stack: list[tuple[str, Any]] = [("", schema)]
    while stack:
        path, part = stack.pop()
        if isinstance(part, list):
            stack.extend((f"{path}{index}.", item) for index, item in enumerate(part))
        if not isinstance(part, dict):
            continue
        unevaluated = unevaluated or "unevaluatedProperties" in part
        patterned = patterned or bool(part.get("patternProperties"))
        for pattern in _patterns(part):
            try:
                _regex(pattern)
            except RegexError as error:
                problems[f"{path}pattern"] = [str(error)]
        stack.extend((f"{path}{key}.", value) for key, value in part.items())
    if unevaluated and patterned:
        problems["unevaluatedProperties"] = ["can't be combined with patternProperties"]
    return problems


def _patterns(part: dict[str, Any]) -> Iterator[str]:
    if isinstance(part.get("pattern"), str):
        yield part["pattern"]
    if isinstance(part.get("patternProperties"), dict):
        yield from part["patternProperties"]
