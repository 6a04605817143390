"""The line protocol: what an action says of itself on standard output. Pure: no database, no Django.

    ::attune progress percent=40 text=unpacking
    ::attune artifact name=summary value={"rows": 12}
    ::attune url name=report url=https://example.org/report

The last field of a line takes the rest of it; a name with blanks stands in double quotes.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from attune_project.language.documents import DocumentError, parse_json

PREFIX = "::attune "
LONGEST = 64 * 1024  # characters of a line
LONGEST_TEXT = 500
LONGEST_NAME = 200
_NAME = r'name=(?:"([^"]+)"|([^\s"]+))'
_PROGRESS = re.compile(r"(?:percent=(\S+))?(?:(?:^|\s+)text=(.*))?")
_ARTIFACT = re.compile(_NAME + r"\s+value=(.+)")
_URL = re.compile(_NAME + r"\s+url=(\S+)")


class BadLine(ValueError):
    """Why a line of the protocol was ignored."""


@dataclass(frozen=True, slots=True)
class ProgressTold:
    percent: float | None  # 0 to 100
    text: str | None


@dataclass(frozen=True, slots=True)
class ValueTold:
    """A value, or a url as `{"url": ...}`. `type` is an artifact's."""

    name: str
    type: str
    data: Any


def read(line: str) -> ProgressTold | ValueTold:
    """Read a line that begins with PREFIX; BadLine says what is wrong with it."""
    if len(line) > LONGEST:
        raise BadLine(f"longer than {LONGEST} characters")
    word, _, rest = line[len(PREFIX) :].strip().partition(" ")
    if word not in _READERS:
        raise BadLine(f"unknown word {word[:40]!r}; known: {', '.join(_READERS)}")
    return _READERS[word](rest.strip())


def url_problem(url: Any) -> str | None:
    """Return what is wrong with an address that people will be shown as a link."""
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
    except ValueError:
        parts = None
    if parts is None or parts.scheme not in ("http", "https") or not parts.netloc:
        return "expected an address that begins with http:// or https://"
    return "longer than 2000 characters" if len(url) > 2000 else None


def _progress(rest: str) -> ProgressTold:
    found = _PROGRESS.fullmatch(rest)
    if found is None or not rest:
        raise BadLine("expected percent=<0 to 100> and/or text=<text>")
    percent = None if found[1] is None else _percent(found[1])
    return ProgressTold(percent, None if found[2] is None else found[2][:LONGEST_TEXT])


def _percent(text: str) -> float:
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        raise BadLine(f"percent={text[:40]!r} is no number") from None
    if math.isnan(number):
        raise BadLine("percent is no number")
    return min(100.0, max(0.0, number))


def _artifact(rest: str) -> ValueTold:
    found = _ARTIFACT.fullmatch(rest)
    if found is None:
        raise BadLine("expected name=<name> value=<JSON>")
    try:
        data = parse_json(found[3].encode())
    except DocumentError as problem:
        raise BadLine(f"value: {problem}") from None
    return ValueTold(_name(found), "other", data)


def _url(rest: str) -> ValueTold:
    found = _URL.fullmatch(rest)
    if found is None:
        raise BadLine("expected name=<name> url=<address>")
    problem = url_problem(found[3])
    if problem:
        raise BadLine(f"url: {problem}")
    return ValueTold(_name(found), "url", {"url": found[3]})


def _name(found: re.Match[str]) -> str:
    name: str = found[1] or found[2]
    if len(name) > LONGEST_NAME:
        raise BadLine(f"name: longer than {LONGEST_NAME} characters")
    return name


_READERS: dict[str, Callable[[str], ProgressTold | ValueTold]] = {
    "progress": _progress,
    "artifact": _artifact,
    "url": _url,
}
