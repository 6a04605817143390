"""Parameter and payload schemas: two forms as given, one JSON Schema 2020-12 in use.

*Flat* is `{name: {type, required, secret, default, ...}}`; the rest is JSON Schema. Messages name
the path and the rule, never the value: it may be a secret.
"""

import copy
import functools
import json
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema
from jsonschema.exceptions import ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from .documents import DocumentError, check_document
from .schema_rules import RegexRefused, message_of, places_of, problems_of_patterns, strict, templated

MAX_PROBLEMS = 50

Problems = dict[str, list[str]]

_COMBINATORS = frozenset(("allOf", "anyOf", "oneOf", "not", "if", "$ref", "$dynamicRef", "$schema"))
_TYPES = frozenset(("string", "integer", "number", "boolean", "array", "object", "any"))
_RENAMED = {"min_length": "minLength", "max_length": "maxLength"}
_RENAMED_OF_ARRAYS = {"min_length": "minItems", "max_length": "maxItems"}
_ANNOTATIONS = frozenset(("$schema", "$id", "$comment", "title", "description", "examples", "default"))


def is_json_schema(schema: Mapping[str, Any]) -> bool:
    """Tell JSON Schema from the flat form, by the marks that the contract names."""
    if not _COMBINATORS.isdisjoint(schema):
        return True
    if isinstance(schema.get("type"), str | list):
        return True
    properties = schema.get("properties")
    return isinstance(properties, dict) and all(isinstance(each, dict | bool) for each in properties.values())


def normalise(schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the schema as JSON Schema 2020-12; an absent one accepts everything."""
    if not schema:
        return {}
    if is_json_schema(schema):
        # Both would move the base that "#/..." starts from, or name another dialect.
        return copy.deepcopy({key: value for key, value in schema.items() if key not in ("$schema", "$id")})
    return _object(schema)


def property_names(schema: Mapping[str, Any]) -> frozenset[str]:
    """Return the names that a schema knows, in either form."""
    known = schema.get("properties", {}) if is_json_schema(schema) else schema
    return frozenset(known) if isinstance(known, Mapping) else frozenset()


def _object(specs: Mapping[str, Any]) -> dict[str, Any]:
    properties = {name: _property(spec) for name, spec in specs.items()}
    required = [
        name for name, spec in specs.items() if isinstance(spec, dict) and spec.get("required") is True
    ]
    result: dict[str, Any] = {"type": "object", "properties": properties}
    return {**result, "required": required} if required else result


def _property(spec: Any) -> Any:
    """Turn one flat entry into a schema; keywords of JSON Schema in it pass through."""
    if not isinstance(spec, dict):
        return spec
    result = {key: value for key, value in spec.items() if key not in ("required", "type", *_RENAMED)}
    renamed = _RENAMED_OF_ARRAYS if spec.get("type") == "array" else _RENAMED
    result |= {renamed[key]: spec[key] for key in _RENAMED if key in spec}
    if spec.get("type", "any") != "any":
        result["type"] = spec["type"]
    if isinstance(spec.get("required"), list):
        result["required"] = spec["required"]
    if isinstance(spec.get("properties"), dict):
        nested = _object(spec["properties"])
        result["properties"] = nested["properties"]
        result.setdefault("required", nested.get("required", []))
    if isinstance(spec.get("items"), dict):
        result["items"] = _property(spec["items"])
    return result


def check_schema(schema: Any) -> Problems:
    """Return what is wrong with a schema, by path; nothing when it can be used."""
    if schema is None or schema == {}:
        return {}
    if not isinstance(schema, dict):
        return {"": ["expected a map of parameters or a JSON Schema"]}
    try:
        check_document(schema)
    except DocumentError as error:
        return {error.path: [error.message]}
    if not is_json_schema(schema) and (problems := _flat_problems(schema, "")):
        return problems
    return _json_schema_problems(normalise(schema))


def _flat_problems(specs: dict[str, Any], prefix: str) -> Problems:
    problems: Problems = {}
    for name, spec in specs.items():
        path = f"{prefix}{name}"
        if not isinstance(spec, dict):
            problems[path] = ["expected a map such as {type: string}"]
            continue
        problems |= _spec_problems(spec, path)
        if isinstance(spec.get("properties"), dict):
            problems |= _flat_problems(spec["properties"], f"{path}.")
    return problems


def _spec_problems(spec: dict[str, Any], path: str) -> Problems:
    problems: Problems = {}
    kind = spec.get("type", "any")
    kinds = kind if isinstance(kind, list) else [kind]
    if not all(isinstance(each, str) and each in _TYPES | {"null"} for each in kinds):
        problems[f"{path}.type"] = [f"unknown type {kind!r}; one of {', '.join(sorted(_TYPES))}"]
    for flag in ("required", "secret", "immutable"):
        if not isinstance(spec.get(flag, False), bool | (list if flag == "required" else bool)):
            problems[f"{path}.{flag}"] = ["expected true or false"]
    return problems


def _json_schema_problems(schema: dict[str, Any]) -> Problems:
    problems: Problems = {}
    meta = jsonschema.Draft202012Validator(jsonschema.Draft202012Validator.META_SCHEMA)
    for error in _some(meta.iter_errors(schema)):
        problems.setdefault(_dotted(error.absolute_path), []).append(message_of(error))
    if not problems:
        problems |= _reference_problems(schema)
        problems |= problems_of_patterns(schema)
    return problems


def _reference_problems(schema: dict[str, Any]) -> Problems:
    """Refuse references that leave the document (they would fetch) and those that lead nowhere."""
    problems: Problems = {}
    resolver = Registry().with_resource("", DRAFT202012.create_resource(schema)).resolver()
    for path, part in _parts(schema):
        for keyword in ("$ref", "$dynamicRef"):
            reference = part.get(keyword)
            if not isinstance(reference, str):
                continue
            if not reference.startswith("#"):
                problems[f"{path}{keyword}"] = ["only references within the schema (#/...) are followed"]
                continue
            try:
                resolver.lookup(reference)
            except (Unresolvable, ValueError):
                problems[f"{path}{keyword}"] = [f"{reference!r} leads nowhere"]
        if isinstance(part.get("$id"), str):
            problems[f"{path}$id"] = ["a nested $id would change what references mean"]
    return problems


def _parts(schema: Any, prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(schema, dict):
        yield prefix, schema
        for key, value in schema.items():
            yield from _parts(value, f"{prefix}{key}.")
    elif isinstance(schema, list):
        for index, value in enumerate(schema):
            yield from _parts(value, f"{prefix}{index}.")


def errors(schema: Mapping[str, Any] | None, value: Any, *, templated_fits: bool = False) -> Problems:
    """Return what in `value` doesn't fit, by dotted path ("" is the value itself).

    With `templated_fits`, strings that hold `{{` fit everywhere: their value isn't known yet.
    """
    return Fitting(schema, templated_fits=templated_fits).problems(value) if schema else {}


class Fitting:
    """A schema for many values."""

    def __init__(self, schema: Mapping[str, Any], *, templated_fits: bool = False) -> None:
        self._validator = _compile(json.dumps(schema), templated_fits)

    def problems(self, value: Any) -> Problems:
        """Return what in `value` doesn't fit, as `errors` does."""
        problems: Problems = {}
        try:
            for error in _some(self._validator.iter_errors(value)):
                _note(problems, error)
        except RecursionError:
            problems[""] = ["the schema refers to itself too deeply for this value"]
        except RegexRefused as refused:
            problems[""] = [str(refused)]
        return problems


@functools.lru_cache(maxsize=1024)
def _compile(text: str, templated_fits: bool) -> Any:
    """Build the validator of a schema once, however many values are checked against it."""
    return (templated if templated_fits else strict)(normalise(json.loads(text)))


def _some(found: Iterator[ValidationError]) -> Iterator[ValidationError]:
    for _, error in zip(range(MAX_PROBLEMS), found, strict=False):
        yield error


def _note(problems: Problems, error: ValidationError) -> None:
    base = list(error.absolute_path)
    message = message_of(error)
    for place in places_of(error):
        said = problems.setdefault(_dotted([*base, *place]), [])
        if message not in said:
            said.append(message)


def _dotted(parts: Any) -> str:
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def with_defaults(schema: Mapping[str, Any] | None, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of `values` with the schema's defaults for absent names, in nested maps too."""
    return filled(shared(schema), values)


def filled(schema: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Do the same by a schema that is normalised already."""
    result = dict(values)
    for name, spec in _properties(schema).items():
        if not isinstance(spec, dict):
            continue
        if name not in result and "default" in spec:
            result[name] = copy.deepcopy(spec["default"])
        if isinstance(result.get(name), dict) and "properties" in spec:
            result[name] = filled(spec, result[name])
    return result


def secret_names(schema: Mapping[str, Any] | None) -> frozenset[str]:
    """Return the dotted names marked `secret: true` (a list with secret items counts as a whole)."""
    return frozenset(_secrets(shared(schema), ""))


def _secrets(schema: Any, prefix: str) -> Iterator[str]:
    for name, spec in _properties(schema).items():
        if not isinstance(spec, dict):
            continue
        items = spec.get("items")
        within = items if isinstance(items, dict) else {}
        if spec.get("secret") is True or within.get("secret") is True or any(_secrets(within, "")):
            yield f"{prefix}{name}"
        yield from _secrets(spec, f"{prefix}{name}.")


def _properties(schema: Any) -> dict[str, Any]:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    return properties if isinstance(properties, dict) else {}


def is_empty(schema: Mapping[str, Any] | None) -> bool:
    """Say whether a schema names nothing: absent, `{}`, or a plain object without properties."""
    rest = {key: value for key, value in shared(schema).items() if key not in _ANNOTATIONS}
    return rest.pop("type", "object") == "object" and not any(rest.values())


def shared(schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the schema as `normalise` does, but not to be changed: made once, however often it is asked."""
    return _shared(json.dumps(schema)) if schema else {}


@functools.lru_cache(maxsize=1024)
def _shared(text: str) -> dict[str, Any]:
    return normalise(json.loads(text))
