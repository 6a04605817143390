"""Read the data in an action's stdout: json, yaml or jsonl, as its output format says."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, NoReturn

import yaml

YAML_LIMIT = 1024 * 1024  # bytes; the parser needs seconds for more, and holds the worker's lock

NOTHING: Final[Any] = object()


class _Unparsable(Exception):
    pass


def parse(raw: bytes, output_format: str) -> Any:
    """Return the data in stdout, or NOTHING when it is text or does not parse.

    Raises RecursionError for data that is nested too deep to be read.
    """
    read = _FORMATS.get(output_format)
    if read is None or not raw.strip():
        return NOTHING
    try:
        return read(raw.decode("utf-8"))
    except (_Unparsable, UnicodeDecodeError):
        return NOTHING


def _json(text: str) -> Any:
    """Read the whole text, else its last line: programs log before they answer."""
    try:
        return _json_value(text)
    except _Unparsable:
        return _json_value(text.rstrip().rsplit("\n", 1)[-1])


def _jsonl(text: str) -> list[Any]:
    return [_json_value(line) for line in text.split("\n") if line.strip()]


def _json_value(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except ValueError:
        raise _Unparsable from None


def _refuse(constant: str) -> NoReturn:
    """NaN and Infinity are Python's, and not JSON."""
    raise _Unparsable


class _PlainLoader(yaml.SafeLoader):
    """YAML without aliases (a few hundred bytes of them make gigabytes) and without dates."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise _Unparsable
        return super().compose_node(parent, index)


_PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _yaml(text: str) -> Any:
    if len(text) > YAML_LIMIT:
        raise _Unparsable
    try:
        return _as_json(yaml.load(text, _PlainLoader))  # noqa: S506 (a SafeLoader)
    except (yaml.YAMLError, ValueError, TypeError):
        raise _Unparsable from None


def _as_json(value: Any) -> Any:
    """Give YAML's values JSON types: keys become text; tagged sets, bytes and dates do not fit."""
    return json.loads(json.dumps(value))


_FORMATS: dict[str, Callable[[str], Any]] = {"json": _json, "jsonl": _jsonl, "yaml": _yaml}
