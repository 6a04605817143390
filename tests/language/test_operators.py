from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attune_project.language.operators import ALIASES, OPERATORS, OperatorError, find

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def ago(seconds: float, write: Callable[[datetime], str] = datetime.isoformat) -> str:
    return write(datetime.now(UTC) - timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("name", "value", "pattern", "expected"),
    [
        ("equals", 7, 7.0, True),
        ("equals", 1, True, True),
        ("equals", "7", 7, False),
        ("EQ", {"a": [1, {"b": None}]}, {"a": [1.0, {"b": None}]}, True),
        ("not_equals", 5, "5", True),
        ("neq", [1], [1], False),
        ("iequals", "aBc", "AbC", True),
        ("iequals", "STRASSE", "straße", False),
        ("contains", "grey wolf", "wolf", True),
        ("contains", [[1], [2]], [1], True),
        ("contains", ["ab"], "a", False),
        ("contains", {"k": 1}, "k", True),
        ("contains", {"k": 1}, 1, False),
        ("not_contains", "abc", "", False),
        ("icontains", "GREY Wolf", "wOLF", True),
        ("incontains", "", "", False),
        ("startswith", "wolfpack", "wolf", True),
        ("istartswith", "WOLFpack", "wolf", True),
        ("endswith", "wolfPACK", "pack", False),
        ("iendswith", "wolfPACK", "pack", True),
        ("lt", "10", "9", True),
        ("lt", [1, 2], [1, 3], True),
        ("gt", True, 0, True),
        ("greater_than_or_equal", 2, 2, True),
        ("lte", 2, 1.5, False),
        ("between", 5, [1, 5], True),
        ("between", 5.1, [1, 5], False),
        ("between", "b", ["a", "c"], True),
        ("matchwildcard", "grey\nwolf", "g*f", True),
        ("matchwildcard", "caat", "c?t", False),
        ("matchwildcard", "axb", "a.b", False),
        ("matchwildcard", "cat", "[!b]at", True),
        ("matchregex", "xv1", "v1", False),
        ("matchregex", "one\r\ntwo", ".*two", True),
        ("regex", "xv1", "v1$", True),
        ("regex", "a\nb", "a.b", False),
        ("regex", "a\nb", "(?m)^b", True),
        ("iregex", "ÉCOLE", "école", True),
        ("exists", 0, None, True),
        ("nexists", [], None, False),
        ("in", "k", {"k": 1}, True),
        ("inside", 3, [1, 2, 3], True),
        ("nin", "a", "bcd", True),
        ("cidr", "10.1.2.3", "10.0.0.0/8", True),
        ("cidr", "::1", ["10.0.0.0/8", "::/64"], True),
        ("cidr", "11.1.2.3", "10.0.0.0/8", False),
        ("count", [1, 2], 2, True),
        ("count", "abc", {"gte": 2, "lt": 3}, False),
        ("count", {"a": 1}, {"between": [1, 2]}, True),
        ("is_empty", {}, None, True),
        ("is_empty", 0, None, False),
    ],
)
def test_operators_on_what_they_take(name: str, value: Any, pattern: Any, expected: bool) -> None:
    assert find(name).test(value, pattern) is expected


@pytest.mark.parametrize(
    ("name", "value", "pattern"),
    [
        ("iequals", 5, "5"),
        ("contains", 5, 5),
        ("contains", "123", 2),
        ("contains", {"a": 1}, ["a"]),
        ("startswith", ["wolf"], "wolf"),
        ("lt", "1", 2),
        ("gt", {"a": 1}, {"a": 2}),
        ("lt", [1], ["a"]),
        ("between", 1, [1]),
        ("between", 1, ["a", "b"]),
        ("matchwildcard", 5, "5"),
        ("regex", "x", "("),
        ("regex", "x", 5),
        ("inside", "a", 5),
        ("inside", 1, "123"),
        ("cidr", "wolf", "10.0.0.0/8"),
        ("cidr", "10.0.0.1", "10.0.0.0/64"),
        ("cidr", 5, "10.0.0.0/8"),
        ("count", 5, 5),
        ("count", [1], "one"),
        ("count", [1], {"regex": "x"}),
        ("timediff_lt", "not a date", 10),
        ("timediff_lt", 5, 10),
        ("timediff_gt", "2024-01-01T00:00:00", "abc"),
        ("timediff_gt", "2024-01-01T00:00:00", "nan"),
    ],
)
def test_operators_on_what_they_do_not_take(name: str, value: Any, pattern: Any) -> None:
    with pytest.raises(OperatorError):
        find(name).test(value, pattern)


@pytest.mark.parametrize("write", [datetime.isoformat, format_datetime])
def test_times_are_compared_with_now(write: Callable[[datetime], str]) -> None:
    a_minute_ago = ago(60, write)

    assert find("td_lt").test(a_minute_ago, "90")
    assert find("td_gt").test(a_minute_ago, 10.5)
    assert find("timediff_lt").test(ago(-3600, write), 0)


def test_a_time_without_offset_is_utc() -> None:
    naive = ago(60).removesuffix("+00:00")

    assert find("timediff_gt").test(naive, 50)
    assert find("timediff_lt").test(naive, 70)


def test_an_unknown_name_is_answered_with_the_nearest_and_all() -> None:
    with pytest.raises(
        OperatorError, match=r"unknown operator 'equal' \(did you mean 'equals'\?\); one of between,"
    ):
        find("equal")


def test_each_alias_names_an_operator() -> None:
    assert {ALIASES[alias] for alias in ALIASES} <= set(OPERATORS)
    assert not set(ALIASES) & set(OPERATORS)


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(sorted(OPERATORS)), ANY_JSON, ANY_JSON)
def test_every_pair_of_values_has_an_answer_or_an_operator_error(name: str, value: Any, pattern: Any) -> None:
    try:
        answer = OPERATORS[name].test(value, pattern)
    except OperatorError:
        return

    assert isinstance(answer, bool)
