"""YAML as packs write it: plain JSON values, each with its line. Pure: no database, no Django.

Scalars follow YAML 1.2: `on`, `yes` and `2026-01-31` are text. Aliases, tags, duplicate keys, a second
document, deep nesting and large files are refused: pack files come from strangers.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml import events

from attune_project.language.documents import DocumentError as JsonError
from attune_project.language.documents import check_document

LARGEST = 1_000_000
DEEPEST = 50
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
TAG_HINT = "put quotes around text that begins with !"
ALIAS_HINT = "aliases aren't taken; put quotes around text that begins with *"

_NULL = re.compile(r"null|Null|NULL|~|")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


class DocumentError(ValueError):
    """A file that can't be read; `line` counts from 1."""

    def __init__(self, reason: str, line: int = 1) -> None:
        super().__init__(f"line {line}: {reason}")
        self.reason = reason
        self.line = line


@dataclass(frozen=True)
class Document:
    """A file's map, and the line of every path in it (`parameters.message`, `conditions[1].operator`)."""

    values: dict[str, Any]
    lines: Mapping[str, int] = field(default_factory=dict, repr=False)

    def line(self, path: str) -> int:
        """Return the line of a path, or of the nearest thing around it."""
        while path not in self.lines and path:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.lines.get(path, 1)


def read(path: Path) -> Document:
    """Read a file; raise DocumentError for whatever isn't one map of JSON values."""
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
    except OSError as error:
        raise DocumentError(f"can't be read: {error.strerror}") from None
    return parse(raw)


def parse(raw: bytes) -> Document:
    if len(raw) > LARGEST:
        raise DocumentError(f"larger than {LARGEST:,} bytes")
    try:
        return _composed(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DocumentError("not UTF-8", raw[: error.start].count(b"\n") + 1) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise DocumentError(
            f"not YAML: {error.problem or error.context}", mark.line + 1 if mark else 1
        ) from None
    except yaml.YAMLError as error:
        raise DocumentError(f"not YAML: {str(error).splitlines()[0]}") from None


def _composed(text: str) -> Document:
    composer = _Composer(yaml.parse(text, Loader=LOADER))
    values = composer.document()
    if not isinstance(values, dict):
        raise DocumentError("expected a map of keys")
    document = Document(values, composer.lines)
    try:
        check_document(values)
    except JsonError as error:
        raise DocumentError(str(error), document.line(error.path)) from None
    return document


class _Composer:
    """Build values from the events of the parser, which are few kinds and cost no recursion of its own."""

    def __init__(self, stream: Iterator[events.Event]) -> None:
        self.stream = stream
        self.lines: dict[str, int] = {}

    def document(self) -> Any:
        event = self._next()
        while isinstance(event, events.StreamStartEvent | events.DocumentStartEvent):
            event = self._next()
        if isinstance(event, events.StreamEndEvent):
            raise DocumentError("the file is empty")
        value = self._value(event, "", 0)
        self._next()
        event = self._next()
        if not isinstance(event, events.StreamEndEvent):
            raise DocumentError("a second document in the file", _line(event))
        return value

    def _next(self) -> events.Event:
        return next(self.stream)

    def _value(self, event: events.Event, path: str, depth: int) -> Any:
        self._refuse(event, depth)
        self.lines.setdefault(path, _line(event))
        if isinstance(event, events.ScalarEvent):
            return _scalar(event)
        if isinstance(event, events.SequenceStartEvent):
            return list(self._items(path, depth))
        return self._map(path, depth)

    def _refuse(self, event: events.Event, depth: int) -> None:
        if isinstance(event, events.AliasEvent):
            raise DocumentError(ALIAS_HINT, _line(event))
        tag = getattr(event, "tag", None)
        if tag and tag != "!":
            raise DocumentError(
                f"the tag {tag} isn't taken; put quotes around text that begins with !", _line(event)
            )
        if depth > DEEPEST:
            raise DocumentError(f"nested deeper than {DEEPEST} levels", _line(event))

    def _items(self, path: str, depth: int) -> Iterator[Any]:
        index = 0
        while not isinstance(event := self._next(), events.SequenceEndEvent):
            yield self._value(event, f"{path}[{index}]", depth + 1)
            index += 1

    def _map(self, path: str, depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        while not isinstance(event := self._next(), events.MappingEndEvent):
            self._refuse(event, depth)
            if not isinstance(event, events.ScalarEvent):
                raise DocumentError("a key has to be text; put quotes around {{ }}", _line(event))
            if event.value in values:
                raise DocumentError(f"the key {event.value[:80]!r} stands here twice", _line(event))
            place = f"{path}.{event.value}" if path else event.value
            self.lines[place] = _line(event)
            values[event.value] = self._value(self._next(), place, depth + 1)
        return values


def _line(event: events.Event) -> int:
    mark = event.start_mark
    return int(mark.line) + 1 if mark is not None else 1


def _scalar(event: events.ScalarEvent) -> Any:
    text = str(event.value)
    if not event.implicit[0]:
        return text
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text) or _FALSE.fullmatch(text):
        return text[0] in "tT"
    return _number(text, _line(event))


def _number(text: str, line: int) -> Any:
    try:
        if _INTEGER.fullmatch(text):
            return int(text)
        return float(text) if _FLOAT.fullmatch(text) else text
    except ValueError:
        raise DocumentError("an integer has too many digits", line) from None
