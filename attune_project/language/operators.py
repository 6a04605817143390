"""The operators of conditions: one table from name to a function of (value, pattern).

Missing values and null patterns never arrive here (conditions.py decides them first), except for
the operators marked `takes_missing` or `takes_null`. `search` holds conditions itself, so
conditions.py builds it; every other operator of the language is in this table.
"""

import fnmatch
import ipaddress
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any

from . import moments
from .paths import MISSING
from .regexes import RegexError, compile_regex

SEARCH = "search"


class OperatorError(ValueError):
    """An operator applied to what it does not take."""


Test = Callable[[Any, Any], bool]


def _anything(pattern: Any) -> None:
    """Accept every pattern when a rule is saved."""


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator; `check` raises OperatorError for a literal pattern that can never work."""

    name: str
    test: Test
    check: Callable[[Any], None] = _anything
    takes_missing: bool = False
    takes_null: bool = False


def kind_of(value: Any) -> str:
    """Name a value's type as JSON does."""
    names = {str: "string", bool: "boolean", int: "number", float: "number", list: "array", dict: "object"}
    return names.get(type(value), "null" if value is None else type(value).__name__)


def _wrong(name: str, value: Any, pattern: Any) -> OperatorError:
    return OperatorError(f"{name} does not take {kind_of(value)} and {kind_of(pattern)}")


def _texts(name: str, test: Callable[[str, str], bool], *, ignore_case: bool = False) -> Test:
    """Make a test of two strings; with `ignore_case` both are lower-cased, as the language defines it."""

    def texts(value: Any, pattern: Any) -> bool:
        if not isinstance(value, str) or not isinstance(pattern, str):
            raise _wrong(name, value, pattern)
        return test(value.lower(), pattern.lower()) if ignore_case else test(value, pattern)

    return texts


def _holds(name: str, container: Any, item: Any) -> bool:
    """Say whether a string, list or map has a substring, element or key."""
    if isinstance(container, str) and isinstance(item, str):
        return item in container
    if isinstance(container, list):
        return item in container
    if isinstance(container, dict) and not isinstance(item, list | dict):
        return item in container
    raise _wrong(name, container, item)


def contains(value: Any, pattern: Any) -> bool:
    return _holds("contains", value, pattern)


def inside(value: Any, pattern: Any) -> bool:
    return _holds("inside", pattern, value)


def _not(test: Test) -> Test:
    return lambda value, pattern: not test(value, pattern)


def _ordered(name: str, test: Test) -> Test:
    """Make a test of two numbers (booleans count), two strings (by code point) or two lists."""

    def ordered(value: Any, pattern: Any) -> bool:
        for kind in (int | float, str, list):
            if isinstance(value, kind) and isinstance(pattern, kind):
                try:
                    return test(value, pattern)
                except TypeError:
                    break
        raise _wrong(name, value, pattern)

    return ordered


_lte = _ordered("between", operator.le)


def between(value: Any, pattern: Any) -> bool:
    """Both ends belong to the range."""
    _check_range(pattern)
    return _lte(pattern[0], value) and _lte(value, pattern[1])


def _check_range(pattern: Any) -> None:
    if not isinstance(pattern, list) or len(pattern) != 2:
        raise OperatorError("between takes a list of two values: [lowest, highest]")


def _regex(name: str, *, ignore_case: bool = False, dot_all: bool = False, at_start: bool = False) -> Test:
    def regex(value: str, pattern: str) -> bool:
        try:
            compiled = compile_regex(pattern, ignore_case=ignore_case, dot_all=dot_all)
            found = compiled.match(value) if at_start else compiled.search(value)
        except RegexError as error:
            raise OperatorError(str(error)) from None
        return found is not None

    return _texts(name, regex)


def _check_regex(pattern: Any) -> None:
    if not isinstance(pattern, str):
        return
    try:
        compile_regex(pattern)
    except RegexError as error:
        raise OperatorError(str(error)) from None


def age_in_seconds(text: Any) -> float:
    """Return now minus a time (ISO 8601 or RFC 2822; no offset means UTC); negative in the future."""
    if not isinstance(text, str):
        raise OperatorError(f"a time is text, not {kind_of(text)}")
    try:
        moment = moments.read(text)
    except ValueError as error:
        raise OperatorError(f"not a time: {error}") from None
    return (datetime.now(UTC) - moment).total_seconds()


def _seconds(pattern: Any) -> float:
    try:
        seconds = float(pattern) if isinstance(pattern, int | float | str) else math.nan
    except (ValueError, OverflowError):
        seconds = math.nan
    if not math.isfinite(seconds):
        raise OperatorError("a time difference is a number of seconds")
    return seconds


def _networks(pattern: Any) -> list[Any]:
    texts = pattern if isinstance(pattern, list) else [pattern]
    try:
        return [ipaddress.ip_network(_text(text), strict=False) for text in texts]
    except ValueError as error:
        raise OperatorError(f"cidr: {error}") from None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise OperatorError(f"cidr takes addresses as text, not {kind_of(value)}")
    return value


def cidr(value: Any, pattern: Any) -> bool:
    try:
        address = ipaddress.ip_address(_text(value).strip())
    except ValueError as error:
        raise OperatorError(f"cidr: {error}") from None
    return any(address in network for network in _networks(pattern))


def count(value: Any, pattern: Any) -> bool:
    """Compare a length with `n`, or with every entry of `{"gte": n, ...}`."""
    if not isinstance(value, str | list | dict):
        raise _wrong("count", value, pattern)
    wanted = pattern if isinstance(pattern, dict) else {"equals": pattern}
    _check_count(wanted)
    return all(find(name).test(len(value), number) for name, number in wanted.items())


_COUNTABLE = ("equals", "nequals", "lessthan", "greaterthan", "lte", "gte", "between")


def _check_count(pattern: Any) -> None:
    wanted = pattern if isinstance(pattern, dict) else {"equals": pattern}
    for name, number in wanted.items():
        if find(name).name not in _COUNTABLE:
            raise OperatorError(f"count can't use {name}; one of {', '.join(_COUNTABLE)}")
        numbers = number if isinstance(number, list) else [number]
        if not all(isinstance(each, int | float) for each in numbers):
            raise OperatorError("count takes a number, or a map such as {gte: 2}")


def is_empty(value: Any, pattern: Any) -> bool:
    return value is MISSING or value is None or value in ("", [], {})


def exists(value: Any, pattern: Any) -> bool:
    return value is not MISSING and value is not None


def _checked(check: Callable[[Any], object]) -> Callable[[Any], None]:
    """Use a reader of patterns as a check of literal ones; null is decided before, so it passes."""

    def checked(pattern: Any) -> None:
        if pattern is not None:
            check(pattern)

    return checked


OPERATORS = {
    entry.name: entry
    for entry in (
        Operator("equals", operator.eq),
        Operator("nequals", operator.ne, takes_null=True),
        Operator("iequals", _texts("iequals", operator.eq, ignore_case=True)),
        Operator("contains", contains),
        Operator("ncontains", _not(contains)),
        Operator("icontains", _texts("icontains", operator.contains, ignore_case=True)),
        Operator("incontains", _not(_texts("incontains", operator.contains, ignore_case=True))),
        Operator("startswith", _texts("startswith", str.startswith)),
        Operator("endswith", _texts("endswith", str.endswith)),
        Operator("istartswith", _texts("istartswith", str.startswith, ignore_case=True)),
        Operator("iendswith", _texts("iendswith", str.endswith, ignore_case=True)),
        Operator("lessthan", _ordered("lessthan", operator.lt)),
        Operator("greaterthan", _ordered("greaterthan", operator.gt)),
        Operator("gte", _ordered("gte", operator.ge)),
        Operator("lte", _ordered("lte", operator.le)),
        Operator("between", between, _checked(_check_range)),
        Operator("matchwildcard", _texts("matchwildcard", fnmatch.fnmatchcase)),
        Operator("matchregex", _regex("matchregex", dot_all=True, at_start=True), _check_regex),
        Operator("regex", _regex("regex"), _check_regex),
        Operator("iregex", _regex("iregex", ignore_case=True), _check_regex),
        Operator("timediff_lt", lambda value, pattern: age_in_seconds(value) < _seconds(pattern)),
        Operator("timediff_gt", lambda value, pattern: age_in_seconds(value) > _seconds(pattern)),
        Operator("exists", exists, takes_null=True),
        Operator("nexists", _not(exists), takes_missing=True, takes_null=True),
        Operator("inside", inside),
        Operator("ninside", _not(inside)),
        Operator("cidr", cidr),
        Operator("count", count, _checked(_check_count)),
        Operator("is_empty", is_empty, takes_missing=True, takes_null=True),
    )
}

ALIASES = {
    "eq": "equals",
    "neq": "nequals",
    "not_equals": "nequals",
    "ieq": "iequals",
    "not_contains": "ncontains",
    "lt": "lessthan",
    "less_than": "lessthan",
    "gt": "greaterthan",
    "greater_than": "greaterthan",
    "greater_than_or_equal": "gte",
    "less_than_or_equal": "lte",
    "td_lt": "timediff_lt",
    "td_gt": "timediff_gt",
    "not_exists": "nexists",
    "in": "inside",
    "nin": "ninside",
    "not_in": "ninside",
}


def find(name: Any) -> Operator:
    """Return the operator of that name or alias, in any case; raise OperatorError naming the choice."""
    if not isinstance(name, str):
        raise OperatorError(f"an operator is named by text, not {kind_of(name)}")
    known = name.lower()
    found = OPERATORS.get(ALIASES.get(known, known))
    if found is None:
        raise OperatorError(_unknown(name))
    return found


def _unknown(name: str) -> str:
    names = [*OPERATORS, SEARCH]
    near = get_close_matches(name.lower(), [*names, *ALIASES], n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return f"unknown operator {name[:60]!r}{hint}; one of {', '.join(sorted(names))}"
