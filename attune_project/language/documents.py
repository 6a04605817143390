"""JSON as it comes through a door: parsed strictly, and refused when PostgreSQL would refuse it."""

import json
import re
from collections.abc import Iterator
from math import isfinite
from typing import Any, Literal, NoReturn

MAX_DEPTH = 64
# Python writes at most 4,300 digits of an integer; this many bits are always fewer.
MAX_INTEGER_BITS = 14_000

Kind = Literal["syntax", "depth", "nul", "number", "encoding"]

_SURROGATE = re.compile("[\ud800-\udfff]")


class DocumentError(ValueError):
    """Say what is wrong with a document, and where (`payload.items[2]`; "" is the document itself)."""

    def __init__(self, kind: Kind, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.kind: Kind = kind
        self.path = path
        self.message = message

    @property
    def malformed(self) -> bool:
        """Tell a body that can't be read at all (400) from one with values that can't be stored (422)."""
        return self.kind in ("syntax", "depth")


def parse_json(raw: bytes, *, max_depth: int = MAX_DEPTH) -> Any:
    """Parse UTF-8 JSON; raise DocumentError for whatever PostgreSQL or RFC 8259 refuses."""
    try:
        value = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
    except DocumentError:
        raise
    except UnicodeDecodeError as error:
        raise DocumentError("syntax", "", f"the text is not UTF-8 (byte {error.start})") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise DocumentError("syntax", "", f"malformed JSON: {error.msg} ({where})") from None
    except RecursionError:
        raise DocumentError("depth", "", f"nested deeper than {max_depth} levels") from None
    except ValueError:
        # The one other ValueError of json: an integer with more digits than Python converts.
        raise DocumentError("number", "", "an integer has too many digits") from None
    check_document(value, max_depth=max_depth)
    return value


def check_document(value: Any, *, max_depth: int = MAX_DEPTH) -> None:
    """Raise DocumentError unless `value` is plain JSON that PostgreSQL stores as it is.

    Goes level by level, so that depth costs nothing to know and no input can exhaust the stack;
    the path of an offender is looked for only once there is one.
    """
    depth = 0
    level = [value]
    while level:
        below: list[Any] = []
        nested = False
        for item in level:
            kind = type(item)
            if kind is dict:
                nested = True
                if item and set(map(type, item)) != {str}:
                    _locate(value)
                below += item
                below += item.values()
            elif kind is list:
                nested = True
                below += item
            elif kind is str:
                if ("\x00" in item or not item.isascii()) and _problem(item):
                    _locate(value)
            elif item is not None and kind is not bool and _problem(item):
                _locate(value)
        depth += nested
        if depth > max_depth:
            raise DocumentError("depth", "", f"nested deeper than {max_depth} levels")
        level = below


def _refuse_constant(name: str) -> NoReturn:
    raise DocumentError("number", "", f"{name} is not JSON")


def _problem(value: Any) -> tuple[Kind, str] | None:
    """Say why a scalar can't be stored, or None."""
    if isinstance(value, str):
        if "\x00" in value:
            return "nul", "NUL characters can't be stored"
        if not value.isascii() and _SURROGATE.search(value):
            return "encoding", "half of a surrogate pair is not a character"
    elif isinstance(value, float):
        if not isfinite(value):
            return "number", "the number is not finite (NaN, Infinity or too large)"
    elif isinstance(value, int):
        if value.bit_length() > MAX_INTEGER_BITS:
            return "number", "an integer has too many digits"
    elif value is not None:
        return "syntax", f"{type(value).__name__} is not a JSON value"
    return None


def _locate(document: Any) -> NoReturn:
    for path, value in _walk(document):
        if type(value) is dict:
            _refuse_keys(path, value)
        elif type(value) is not list:
            _refuse_scalar(path, value)
    raise AssertionError("a document changed while it was checked")


def _refuse_keys(path: str, value: dict[Any, Any]) -> None:
    for key in value:
        if type(key) is not str:
            raise DocumentError("syntax", path, f"the key {key!r} is not text")
        if problem := _problem(key):
            raise DocumentError(problem[0], path, f"in the key {key[:40]!r}: {problem[1]}")


def _refuse_scalar(path: str, value: Any) -> None:
    if problem := _problem(value):
        raise DocumentError(problem[0], path, problem[1])


def _walk(document: Any) -> Iterator[tuple[str, Any]]:
    stack = [("", document)]
    while stack:
        path, value = stack.pop()
        yield path, value
        if type(value) is dict:
            stack.extend((f"{path}.{key}" if path else str(key), item) for key, item in value.items())
        elif type(value) is list:
            stack.extend((f"{path}[{index}]", item) for index, item in enumerate(value))
