"""Field paths into JSON: `a.b[0].c`, `a['x-y']`, `a.'x.y'`, `[*]`, `..name`; the first hit counts."""

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

MAX_LENGTH = 1024
# A path with several `..` may try every combination; this many looks are ample for real payloads.
MAX_LOOKS = 100_000


class Missing(Enum):
    """The type of MISSING, so that `value is MISSING` narrows."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING


class PathError(ValueError):
    """A path that can't be read, or that looks at too much."""


@dataclass(frozen=True, slots=True)
class Wildcard:
    """Every item of a list or value of a map, in order."""


@dataclass(frozen=True, slots=True)
class Descent:
    """The key at any depth, nearest first."""

    name: str


Step = str | int | Wildcard | Descent

_NAME = r"""[^\s.\[\]'"*()]+"""
_QUOTED = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
_STEP = re.compile(
    rf"""(?P<descent>\.\.(?:{_NAME}|{_QUOTED}))
       | \[(?P<index>\d{{1,9}})\]
       | (?P<wildcard>\[\*\])
       | \[(?P<key>{_QUOTED})\]
       | \.(?P<name>{_NAME}|{_QUOTED})""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Path:
    """A parsed path; `steps` are keys, indexes, wildcards and descents."""

    text: str
    steps: tuple[Step, ...]
    plain: bool

    def first(self, value: Any) -> Any:
        """Return the first hit, or MISSING; raise PathError when it would look at too much."""
        if self.plain:
            return _follow(value, self.steps)
        return next(_hits(value, self.steps, [MAX_LOOKS]), MISSING)

    def after(self, count: int) -> "Path":
        """Return the same path without its first `count` steps."""
        return _path(self.text, self.steps[count:])


@functools.lru_cache(maxsize=4096)
def parse(text: str) -> Path:
    """Parse a path; raise PathError naming the column that can't be read."""
    if not text.strip():
        raise PathError("the path is empty")
    if len(text) > MAX_LENGTH:
        raise PathError(f"the path is longer than {MAX_LENGTH} characters")
    # A leading dot makes the first name look like every other one.
    source = text if text[0] in ".[" else f".{text}"
    shift = len(source) - len(text)
    if source is text and text[0] == "." and not text.startswith(".."):
        raise PathError(f"path {text!r}: begins with a dot")
    return _path(text, tuple(_steps(source, shift)))


def _path(text: str, steps: tuple[Step, ...]) -> Path:
    return Path(text, steps, all(isinstance(step, str | int) for step in steps))


def _steps(source: str, shift: int) -> Iterator[Step]:
    position = 0
    while position < len(source):
        match = _STEP.match(source, position)
        if match is None:
            raise PathError(f"path {source[shift:]!r}: can't be read from column {position - shift + 1}")
        position = match.end()
        yield _step(match)


def _step(match: re.Match[str]) -> Step:
    if index := match["index"]:
        return int(index)
    if match["wildcard"]:
        return Wildcard()
    if descent := match["descent"]:
        return Descent(_unquote(descent[2:]))
    return _unquote(match["key"] or match["name"])


def _unquote(text: str) -> str:
    return _ESCAPE.sub(r"\1", text[1:-1]) if text[0] in "'\"" else text


def _child(value: Any, step: str | int) -> Any:
    if isinstance(step, str):
        # A dict is known by its type four times as fast as by the abstract one.
        return value.get(step, MISSING) if type(value) is dict or isinstance(value, Mapping) else MISSING
    return value[step] if isinstance(value, list) and step < len(value) else MISSING


def _follow(value: Any, steps: tuple[Step, ...]) -> Any:
    for step in steps:
        value = _child(value, step)  # type: ignore[arg-type]  # a plain path has keys and indexes only
        if value is MISSING:
            return MISSING
    return value


def _hits(value: Any, steps: tuple[Step, ...], looks: list[int]) -> Iterator[Any]:
    if not steps:
        yield value
        return
    step, rest = steps[0], steps[1:]
    for candidate in _candidates(value, step, looks):
        yield from _hits(candidate, rest, looks)


def _candidates(value: Any, step: Step, looks: list[int]) -> Iterator[Any]:
    if isinstance(step, Wildcard):
        for item in _children(value):
            _look(looks)
            yield item
    elif isinstance(step, Descent):
        yield from _descend(value, step.name, looks)
    elif (child := _child(value, step)) is not MISSING:
        _look(looks)
        yield child


def _descend(value: Any, name: str, looks: list[int]) -> Iterator[Any]:
    stack = [value]
    while stack:
        _look(looks)
        node = stack.pop()
        if isinstance(node, Mapping) and name in node:
            yield node[name]
        stack.extend(reversed([child for child in _children(node) if isinstance(child, Mapping | list)]))


def _children(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    return value if isinstance(value, list) else []


def _look(looks: list[int]) -> None:
    looks[0] -= 1
    if looks[0] < 0:
        raise PathError(f"the path looks at more than {MAX_LOOKS} values")
