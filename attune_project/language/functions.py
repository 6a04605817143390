"""The functions of expressions: one table, each usable as `f(x)` and as `x | f`.

Every function gets the budget first and is called through `Function`, which pays for looking at
the arguments and turns Python's errors into ours without repeating a value. What could make
something long asks `fits` before making it.
"""

import base64
import hashlib
import json
import math
import posixpath
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from . import moments, yamls
from .budget import Budget, ExpressionError, fits, to_text
from .documents import parse_json
from .operators import kind_of
from .regexes import compile_regex

MAX_RANGE = 10_000
MAX_DIGITS = 400
_REFUSED = (ValueError, TypeError, ArithmeticError, LookupError, AttributeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Function:
    """A function with the number of arguments that it takes; a shallow one only touches the outside."""

    call: Callable[..., Any]
    least: int = 1
    most: int = 1
    shallow: bool = False

    def __call__(self, name: str, budget: Budget, arguments: list[Any]) -> Any:
        budget.look_at_the_clock()
        for argument in arguments:
            if not self.shallow:
                budget.spend_on(argument)
            elif isinstance(argument, list | dict):
                budget.spend(1 + (len(argument) >> 4))
        try:
            result = self.call(budget, *arguments)
        except ExpressionError as error:
            raise ExpressionError(f"{name}: {error}") from None
        except _REFUSED:
            kinds = ", ".join(kind_of(argument) for argument in arguments)
            raise ExpressionError(f"{name} can't be used on ({kinds}) with these values") from None
        fits(len(result) if isinstance(result, str | list | dict) else 0)
        return result


def _plain(call: Callable[..., Any]) -> Callable[..., Any]:
    """Use a function that needs no budget."""
    return lambda budget, *arguments: call(*arguments)


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise ExpressionError(f"expected text, not {kind_of(value)}")
    return value


def number(value: Any) -> int | float:
    if not isinstance(value, int | float):
        raise ExpressionError(f"expected a number, not {kind_of(value)}")
    return value


def items_of(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ExpressionError(f"expected a list, not {kind_of(value)}")
    return value


def mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ExpressionError(f"expected a map, not {kind_of(value)}")
    return value


def finite(value: int | float) -> int | float:
    """Return a number that JSON can hold and that stays cheap to compute with."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ExpressionError("the number is too large")
    if isinstance(value, int) and value.bit_length() > 16_000:
        raise ExpressionError("the number is too large")
    return value


def _int(value: Any) -> int:
    if isinstance(value, str):
        value = _parsed(value)
    return int(number(value))


def _float(value: Any) -> float:
    return float(finite(float(value if isinstance(value, str) else number(value))))


def _parsed(value: str) -> int | float:
    if len(value) > MAX_DIGITS:
        raise ExpressionError(f"a number has at most {MAX_DIGITS} digits")
    try:
        return int(value)
    except ValueError:
        return finite(float(value))


def _number(value: Any) -> int | float:
    return _parsed(value) if isinstance(value, str) else number(value)


def _bool(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().lower() not in ("", "false", "0", "no", "off", "null")
    return bool(value)


def _length(value: Any) -> int:
    return 0 if value is None else len(value)


def _round(value: Any, digits: Any = 0) -> int | float:
    if not -MAX_DIGITS <= digits <= MAX_DIGITS:
        raise ExpressionError(f"rounds to at most {MAX_DIGITS} digits")
    return round(number(value), digits) if digits else round(number(value))


def _extreme(pick: Callable[[Iterable[Any]], Any]) -> Callable[..., Any]:
    """Make min or max of one list, or of the arguments; of nothing it is null."""

    def extreme(budget: Budget, *arguments: Any) -> Any:
        values = items_of(arguments[0]) if len(arguments) == 1 else list(arguments)
        return pick(values) if values else None

    return extreme


def _sum(value: Any) -> int | float:
    return finite(sum(number(item) for item in items_of(value)))


def _split(value: Any, separator: Any = None, limit: Any = -1) -> list[str]:
    return text(value).split(separator, limit)


def _join(budget: Budget, value: Any, separator: Any = "") -> str:
    parts = [to_text(item) for item in items_of(value)]
    fits(sum(map(len, parts)) + len(text(separator)) * len(parts))
    return str(separator).join(parts)


def _replace(value: Any, old: Any, new: Any) -> str:
    growth = len(text(new)) - len(text(old))
    fits(len(text(value)) + max(growth, 0) * value.count(old))
    return str(value).replace(old, new)


def _starts_with(value: Any, start: Any) -> bool:
    return text(value).startswith(text(start))


def _ends_with(value: Any, end: Any) -> bool:
    return text(value).endswith(text(end))


def _contains(value: Any, item: Any) -> bool:
    return item in value if value is not None else False


def _sort(value: Any, descending: Any = False) -> list[Any]:
    return sorted(items_of(value), reverse=bool(descending))


def _unique(value: Any) -> list[Any]:
    return list({_hashable(item): item for item in reversed(items_of(value))}.values())[::-1]


def _hashable(value: Any) -> Any:
    """Map equal JSON to equal keys, so that finding doubles takes one pass."""
    if isinstance(value, list):
        return ("list", *map(_hashable, value))
    if isinstance(value, dict):
        return ("map", frozenset((key, _hashable(item)) for key, item in value.items()))
    return value


def _flat(value: Any) -> list[Any]:
    return [part for item in items_of(value) for part in (item if isinstance(item, list) else [item])]


def _zip(budget: Budget, *lists: Any) -> list[Any]:
    budget.spend(sum(len(items_of(each)) for each in lists))
    return [list(together) for together in zip(*lists, strict=False)]


def _range(budget: Budget, *bounds: Any) -> list[int]:
    numbers = range(*bounds)
    if len(numbers) > MAX_RANGE:
        raise ExpressionError(f"a range has at most {MAX_RANGE} numbers")
    budget.spend(len(numbers))
    return list(numbers)


def _slice(value: Any, start: Any = None, stop: Any = None) -> Any:
    return value[start:stop] if isinstance(value, str) else items_of(value)[start:stop]


def _index_of(value: Any, item: Any) -> int:
    if isinstance(value, str):
        return value.find(text(item))
    return next((index for index, each in enumerate(items_of(value)) if each == item), -1)


def _count(value: Any, *item: Any) -> int:
    return _length(value) if not item else value.count(item[0])


def _merge(budget: Budget, *maps: Any) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for each in maps:
        merged |= {} if each is None else mapping(each)
    return merged


def _end(value: Any, index: int) -> Any:
    if value is None or len(value) == 0:
        return None
    return (value if isinstance(value, str) else items_of(value))[index]


def _default(value: Any, other: Any = None) -> Any:
    return other if value is None else value


def _matches(budget: Budget, value: Any, pattern: Any) -> bool:
    return compile_regex(text(pattern)).match(text(value)) is not None


def _search(budget: Budget, value: Any, pattern: Any) -> Any:
    """Return null, or the match: its first group if it has groups, else all of it."""
    found = compile_regex(text(pattern)).search(text(value))
    if found is None:
        return None
    return found.group(1) if found.groups() else found.group(0)


def _regex_replace(budget: Budget, value: Any, pattern: Any, replacement: Any) -> str:
    parts: list[str] = []
    end = length = 0
    for found in compile_regex(text(pattern)).finditer(text(value)):
        budget.spend(4)
        budget.look_at_the_clock()
        parts += value[end : found.start()], _expand(found, text(replacement))
        length += len(parts[-1]) + len(parts[-2])
        fits(length)
        end = found.end()
    return "".join([*parts, value[end:]])


_GROUP = re.compile(r"\\(?:(\d{1,2})|g<(\w+)>)")


def _expand(found: Any, replacement: str) -> str:
    """Put groups in place of \\1 and \\g<name>; RE2's own expansion garbles letters beyond ASCII."""

    def group(reference: re.Match[str]) -> str:
        name = reference[1] or reference[2]
        return found.group(int(name) if name.isdigit() else name) or ""

    return _GROUP.sub(group, replacement)


def _to_json(budget: Budget, value: Any) -> str:
    return '""' if value == "" else json.dumps(value) if isinstance(value, str) else to_text(value) or "null"


def _from_json(budget: Budget, value: Any) -> Any:
    return parse_json(text(value).encode())


def _urlencode(value: Any) -> str:
    if isinstance(value, dict):
        return urlencode({key: to_text(item) for key, item in value.items()})
    return quote(to_text(value), safe="")


FUNCTIONS: Mapping[str, Function] = {
    "string": Function(_plain(to_text)),
    "int": Function(_plain(_int)),
    "float": Function(_plain(_float)),
    "number": Function(_plain(_number)),
    "bool": Function(_plain(_bool), shallow=True),
    "type_of": Function(_plain(kind_of), shallow=True),
    "length": Function(_plain(_length), shallow=True),
    "keys": Function(_plain(lambda value: list(mapping(value))), shallow=True),
    "values": Function(_plain(lambda value: list(mapping(value).values())), shallow=True),
    "items": Function(_plain(lambda value: [list(pair) for pair in mapping(value).items()])),
    "abs": Function(_plain(lambda value: abs(number(value)))),
    "floor": Function(_plain(lambda value: math.floor(number(value)))),
    "ceil": Function(_plain(lambda value: math.ceil(number(value)))),
    "round": Function(_plain(_round), most=2),
    "min": Function(_extreme(min), most=100),
    "max": Function(_extreme(max), most=100),
    "sum": Function(_plain(_sum)),
    "lower": Function(_plain(lambda value: text(value).lower())),
    "upper": Function(_plain(lambda value: text(value).upper())),
    "title": Function(_plain(lambda value: text(value).title())),
    "trim": Function(_plain(lambda value, characters=None: text(value).strip(characters)), most=2),
    "split": Function(_plain(_split), most=3),
    "join": Function(_join, most=2),
    "replace": Function(_plain(_replace), least=3, most=3),
    "starts_with": Function(_plain(_starts_with), least=2, most=2),
    "ends_with": Function(_plain(_ends_with), least=2, most=2),
    "contains": Function(_plain(_contains), least=2, most=2),
    "reversed": Function(_plain(lambda value: value[::-1])),
    "sort": Function(_plain(_sort), most=2),
    "unique": Function(_plain(_unique)),
    "flat": Function(_plain(_flat)),
    "zip": Function(_zip, most=20, shallow=True),
    "range": Function(_range, most=3),
    "slice": Function(_plain(_slice), most=3, shallow=True),
    "index_of": Function(_plain(_index_of), least=2, most=2),
    "count": Function(_plain(_count), most=2),
    "merge": Function(_merge, most=20),
    "first": Function(_plain(lambda value: _end(value, 0)), shallow=True),
    "last": Function(_plain(lambda value: _end(value, -1)), shallow=True),
    "default": Function(_plain(_default), most=2, shallow=True),
    "match": Function(_matches, least=2, most=2),
    "regex_match": Function(_matches, least=2, most=2),
    "regex_search": Function(_search, least=2, most=2),
    "regex_replace": Function(_regex_replace, least=3, most=3),
    "to_json": Function(_to_json),
    "from_json": Function(_from_json),
    "to_yaml": Function(_plain(yamls.dump)),
    "from_yaml": Function(_plain(lambda value: yamls.load(text(value)))),
    "b64encode": Function(_plain(lambda value: base64.b64encode(text(value).encode()).decode())),
    "b64decode": Function(_plain(lambda value: base64.b64decode(text(value), validate=True).decode())),
    "urlencode": Function(_plain(_urlencode)),
    "sha256": Function(_plain(lambda value: hashlib.sha256(text(value).encode()).hexdigest())),
    "basename": Function(_plain(lambda value: posixpath.basename(text(value)))),
    "dirname": Function(_plain(lambda value: posixpath.dirname(text(value)))),
    "now": Function(_plain(moments.now), least=0, most=0),
    "format_time": Function(_plain(moments.format_time), most=2),
    "parse_time": Function(_plain(moments.parse_time), most=2),
    "to_human_time": Function(_plain(lambda value: moments.to_human_time(number(value)))),
    "uuid": Function(_plain(lambda: str(uuid.uuid4())), least=0, most=0),
}
