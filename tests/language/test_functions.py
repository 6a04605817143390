import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attune_project.language.budget import Budget, ExpressionError
from attune_project.language.functions import FUNCTIONS
from attune_project.language.templates import TemplateError, compile_expression

NAMES = (
    "string int float number bool type_of length keys values items abs floor ceil round min max sum lower "
    "upper title trim split join replace starts_with ends_with contains reversed sort unique flat zip range "
    "slice index_of count merge first last default match regex_match regex_search regex_replace to_json "
    "from_json to_yaml from_yaml b64encode b64decode urlencode sha256 basename dirname now format_time "
    "parse_time to_human_time uuid"
)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def value_of(expression: str) -> Any:
    return compile_expression(expression).render({})


def test_the_table_holds_exactly_the_functions_of_the_language() -> None:
    assert set(FUNCTIONS) == set(NAMES.split())


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("string([1, 'a'])", '[1,"a"]'),
        ("int('12') + int(3.9)", 15),
        ("float('1.5')", 1.5),
        ("[number('7'), number('7.5')]", [7, 7.5]),
        ("[bool('false'), bool('yes'), bool([]), bool(1)]", [False, True, False, True]),
        ("[type_of(1), type_of('a'), type_of([]), type_of({}), type_of(null), type_of(true)]",
         ["number", "string", "array", "object", "null", "boolean"]),
        ("[length('été'), length([1]), length({'a': 1}), length(null)]", [3, 1, 1, 0]),
        ("[keys({'a': 1}), values({'a': 1}), items({'a': 1})]", [["a"], [1], [["a", 1]]]),
        ("[abs(-2), floor(1.7), ceil(1.2), round(2.567, 2), round(2.6)]", [2, 1, 2, 2.57, 3]),
        ("[min([3, 1]), max(3, 1), min([]), sum([1, 2.5])]", [1, 3, None, 3.5]),
        ("[lower('É'), upper('é'), title('a b'), trim(' a ')]", ["é", "É", "A B", "a"]),
        ("trim('xax', 'x')", "a"),
        ("split('a,b,c', ',', 1)", ["a", "b,c"]),
        ("join([1, 'a', null, true], '-')", "1-a--true"),
        ("replace('banana', 'an', 'AN')", "bANANa"),
        ("[starts_with('ab', 'a'), ends_with('ab', 'a'), contains([1], 1), contains('ab', 'b')]",
         [True, False, True, True]),
        ("[reversed([1, 2]), reversed('ab')]", [[2, 1], "ba"]),
        ("[sort([2, 1]), sort(['b', 'a'], true)]", [[1, 2], ["b", "a"]]),
        ("unique([1, 1.0, 'a', [1], [1], {'a': 1}, {'a': 1}])", [1, "a", [1], {"a": 1}]),
        ("[flat([1, [2, [3]]]), zip([1, 2], ['a', 'b'])]", [[1, 2, [3]], [[1, "a"], [2, "b"]]]),
        ("[range(3), range(1, 3), range(4, 0, -2)]", [[0, 1, 2], [1, 2], [4, 2]]),
        ("[slice('abcd', 1, 3), slice([1, 2], 1)]", ["bc", [2]]),
        ("[index_of(['a', 'b'], 'b'), index_of('ab', 'c')]", [1, -1]),
        ("[count('banana', 'a'), count([1, 2, 1], 1), count([1])]", [3, 2, 1]),
        ("merge({'a': 1, 'b': 1}, null, {'b': 2})", {"a": 1, "b": 2}),
        ("[first([1, 2]), last('ab'), first([]), last(null)]", [1, "b", None, None]),
        ("[default(null, 1), default(false, 1), default(null)]", [1, False, None]),
        ("[regex_match('abc', 'b'), match('abc', 'a')]", [False, True]),
        (r"[regex_search('v12', 'v(\d+)'), regex_search('v', 'x')]", ["12", None]),
        (r"regex_replace('été 1', '(?P<letter>\w)t', 'ü\g<letter>')", "üéé 1"),
        ("to_json({'a': ['é', null]})", '{"a":["é",null]}'),
        ("[to_json(''), to_json('a'), to_json(null)]", ['""', '"a"', "null"]),
        ("from_json('[1, {\"a\": null}]')", [1, {"a": None}]),
        ("to_yaml({'b': [1], 'a': 'x'})", "b:\n- 1\na: x\n"),
        ("from_yaml('a: 2024-01-01\\nb: [yes, 1.5]')", {"a": "2024-01-01", "b": [True, 1.5]}),
        ("b64encode('é') ~ b64decode('w6k=')", "w6k=é"),
        ("[urlencode('a b/c'), urlencode({'a b': 'c&', 'n': 1})]", ["a%20b%2Fc", "a+b=c%26&n=1"]),
        ("sha256('a')[:8] ~ basename('/a/b.c') ~ dirname('/a/b.c')", "ca978112b.c/a"),
        ("parse_time('2024-01-02T03:04:05+01:00')", "2024-01-02T02:04:05.000000Z"),
        ("parse_time('02.01.2024', '%d.%m.%Y')", "2024-01-02T00:00:00.000000Z"),
        ("format_time('2024-01-02T03:04:05', '%H:%M')", "03:04"),
        ("format_time(0)", "1970-01-01T00:00:00Z"),
        ("[to_human_time(3725), to_human_time(0), to_human_time(-90000)]", ["1h2m5s", "0s", "-1d1h"]),
    ],
)  # fmt: skip
def test_functions(expression: str, value: Any) -> None:
    assert value_of(expression) == value


def test_what_differs_each_time_has_its_form() -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", value_of("now()"))
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value_of("uuid()"))
    assert value_of("uuid()") != value_of("uuid()")


@pytest.mark.parametrize(
    "expression",
    [
        "int('x')", "int([])", "float('nan')", "number('1e999')", "keys([])", "abs('a')", "sum(['a'])",
        "lower(1)", "lower(null)", "split(1)", "split('a', '')", "join('ab')", "replace('a', 1, 2)",
        "sort([1, 'a'])", "flat('ab')", "zip(1)", "range('a')", "range(1, 9, 0)", "merge([])",
        "regex_match('a', '(?=a)')", "from_json('{')", "from_json('\"\\\\u0000\"')", "from_yaml('{')",
        "from_yaml('!!python/name:os.system')", "from_yaml('a: .nan')", "from_yaml('1: a')", "b64decode('!')",
        "b64decode('/w==')", "parse_time('soon')", "format_time(now(), '%q')", "length(5)",
        "contains(5, 5)", "min(1, 'a')",
    ],
)  # fmt: skip
def test_what_they_do_not_take_is_an_error(expression: str) -> None:
    with pytest.raises(TemplateError):
        value_of(expression)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(FUNCTIONS)), st.lists(ANY_JSON, max_size=3))
def test_any_arguments_give_a_value_or_an_expression_error(name: str, arguments: list[Any]) -> None:
    function = FUNCTIONS[name]
    if not function.least <= len(arguments) <= function.most:
        return

    try:
        value = function(name, Budget({}), arguments)
    except ExpressionError:
        return

    assert isinstance(value, str | int | float | list | dict | None)
