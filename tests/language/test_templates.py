import itertools
import tracemalloc
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attune_project.language import budget
from attune_project.language.templates import TemplateError, compile_expression, compile_template
from tests.work import at_most

MEGABYTE = 1 << 20

PAYLOAD = {
    "n": 5,
    "name": "wolf",
    "list": [3, 1, 2],
    "map": {"items": 7, "keys": "k", "get": "g"},
    "ratio": 0.5,
    "on": True,
    "none": None,
    "имя": "волк",
}
CONTEXT = {
    "event": {"id": 9, "payload": PAYLOAD},
    "trigger": PAYLOAD,
    "key": {"db.password": "secret", "plain": {"a": 1}},
}


def rendered(value: Any) -> Any:
    return compile_template(value).render(CONTEXT)


def refusal(value: Any) -> TemplateError:
    with pytest.raises(TemplateError) as caught:
        compile_template(value)
    return caught.value


def failure(value: Any) -> TemplateError:
    template = compile_template(value)
    with pytest.raises(TemplateError) as caught:
        template.render(CONTEXT)
    return caught.value


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{{ trigger.n }}", 5),
        ("{{event.payload.ratio}}", 0.5),
        ("{{ trigger.list }}", [3, 1, 2]),
        ("{{ trigger.none }}", None),
        ("{{ trigger.nope.deeper[3] }}", None),
        ("{{ nope }}", None),
        ("{{ trigger.имя }}", "волк"),
        ("{{ trigger.list[-1] }}", 2),
        ("{{ trigger.list[9] }}", None),
        ("{{ trigger.list[:2] }}", [3, 1]),
        ("{{ trigger['name'][0] }}", "w"),
        ("{{ {'a': {'b': [1]}}}}", {"a": {"b": [1]}}),
        ("{{ [null, true, False, None] }}", [None, True, False, None]),
        ("{{ \"}}\" ~ '{{' }}", "}}{{"),
        ("{{ 7 // 2 + 7 % 4 - 3 * 2 / 4 }}", 4.5),
        ("{{ 'ab' + 'c' * 2 }}", "abcc"),
        ("{{ [1] + [2] }}", [1, 2]),
        ("{{ 1 < 2 <= 2 != 3 }}", True),
        ("{{ null < 3 or 3 > null }}", False),
        ("{{ 2 in trigger.list and 'x' not in trigger.map }}", True),
        ("{{ trigger.none or 'other' }}", "other"),
        ("{{ 'a' if trigger.n > 9 }}", None),
        ("{{ 'a' if trigger.n > 9 else 'b' }}", "b"),
        ("{{ trigger.n ~ null ~ true ~ [1] }}", "5true[1]"),
        ("{{ '%s has %03d, %.1f%%' % (trigger.name, 7, 2) }}", "wolf has 007, 2.0%"),
        ("{{ '%(items)s' % trigger.map }}", "7"),
        ("{{ '%s' % trigger.list }}", "[3,1,2]"),
        ("{{ trigger.list | sort | join('-') | upper }}", "1-2-3"),
        (r"{{ regex_replace('a1b22', '(\d+)', '<\1>') }}", "a<1>b<22>"),
        ("{{ key.db.password ~ key['db.password'] ~ key.plain.a ~ key.none.at.all }}", "secretsecret1"),
    ],
)
def test_one_expression_keeps_its_type(template: str, value: Any) -> None:
    assert rendered(template) == value
    assert type(rendered(template)) is type(value)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("n={{ trigger.n }}", "n=5"),
        ("{{ trigger.n }}{{ trigger.name }}", "5wolf"),
        (" {{ trigger.on }} ", " true "),
        ("<{{ trigger.none }}>", "<>"),
        ("{{ trigger.list }}!", "[3,1,2]!"),
        ("m={{ trigger.map }}", 'm={"items":7,"keys":"k","get":"g"}'),
        ("{{ 1 }}{# text #} ${#array[@]} %{http_code} }}", "1{# text #} ${#array[@]} %{http_code} }}"),
    ],
)
def test_text_around_makes_it_text(template: str, text: str) -> None:
    assert rendered(template) == text


def test_lists_and_maps_are_rendered_and_keys_are_not() -> None:
    value = {"a": ["{{ trigger.n }}", {"{{ k }}": "{{ trigger.name }}"}], "b": 1}

    assert rendered(value) == {"a": [5, {"{{ k }}": "wolf"}], "b": 1}


def test_values_without_templates_are_returned_as_they_are() -> None:
    value = {"a": ["text", {"b": "{ {"}], "c": None}
    template = compile_template(value)

    assert template.is_constant
    assert template.render({}) is value


def test_what_is_read_is_known() -> None:
    assert compile_template(["{{ event.payload.x }}", "{{ key.a.b }}"]).reads >= {"event.payload", "key"}
    assert "event.payload" in compile_template("{{ event['payload'] }}").reads


@pytest.mark.parametrize("text", ["trigger.n > 3", "{{ trigger.n > 3 }}", " {{trigger.n > 3}} "])
def test_the_braces_of_an_expression_are_optional(text: str) -> None:
    assert compile_expression(text).render(CONTEXT) is True


ESCAPES = [
    "{{ ''.__class__ }}",
    "{{ ''['__class__'] }}",
    "{{ [].__class__.__base__ }}",
    "{{ trigger.__class__.__mro__ }}",
    "{{ event.payload.map.__init__.__globals__ }}",
    "{{ trigger.name.format }}",
    "{{ self.__init__.__globals__ }}",
    "{{ cycler.__init__.__globals__.os }}",
    "{{ namespace }}",
    "{{ config }}",
    "{{ request.application }}",
    "{{ __import__ }}",
]


@pytest.mark.parametrize("template", ESCAPES)
def test_dots_reach_keys_and_nothing_else(template: str) -> None:
    assert rendered(template) is None


CALLS = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ trigger.map.get('items') }}",
    "{{ lipsum() }}",
    "{{ __import__('os') }}",
    "{{ open('/etc/passwd') }}",
    "{{ ''|attr('__class__') }}",
    "{{ trigger|map(attribute='x') }}",
    "{{ (1).real() }}",
    "{{ 'x'.format(1) }}",
    "{{ cycler('a').next() }}",
    "{% for x in range(9) %}{{ x }}{% endfor %}",
    "{% import 'os' as os %}",
    "{{ x is defined }}",
    "{{ 2 ** 9 }}",
    "{{ length(*trigger.list) }}",
    "{{ length(a=1) }}",
]


@pytest.mark.parametrize("template", CALLS)
def test_methods_statements_and_strangers_are_refused(template: str) -> None:
    refusal({"a": [template]})


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ lenght(1) }}", "unknown function 'lenght' (did you mean 'length'?)"),
        ("{{ 1 | nope }}", "unknown function 'nope'"),
        ("{{ trim() }}", "trim takes 1 to 2 arguments, not 0"),
        ("{{ a b }}", "can't be read from 'b' on"),
        ("{{ }}", "the expression is empty"),
        ("{{ 1", "'{{' is not closed by '}}'"),
        ("{{ 'a }}", "a string in the expression is not closed"),
        ("{{- 1 }}", "'{{-' does not trim here; write {{ -x }} for a negative value"),
        ("{% if x %}", "statements ({% ... %}) are not part of the language, only {{ expressions }}"),
        ("{{ 1" + " " * 9000 + "}}", "an expression is longer than 8192 characters, or not closed"),
    ],
)
def test_mistakes_are_named_with_their_path(template: str, message: str) -> None:
    error = refusal({"a": [0, {"b": template}]})

    assert (error.path, error.message) == ("a[1].b", message)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ 'a' + 1 }}", "string + number is not defined"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ 'a' < 1 }}", "string and number have no order"),
        ("{{ [1] < ['a'] }}", "array and array have no order"),
        ("{{ 1 in 5 }}", "number holds nothing to look for"),
        ("{{ {1: 2} }}", "the keys of a map are text, not number"),
        ("{{ -trigger.name }}", "number * string is not defined"),
        ("{{ '%d' % trigger.name }}", "%d takes a number"),
        ("{{ '%s %s' % trigger.name }}", "the format takes more than 1 values"),
        ("{{ int('hunter2') }}", "int can't be used on (string) with these values"),
        ("{{ '\\x00' }}", "NUL characters can't be stored"),
        ("{{ '\\ud800' }}", "half of a surrogate pair is not a character"),
        ("{{ trigger.list[::0] }}", "the step of a slice is not zero"),
    ],
)
def test_failures_are_named_with_their_path_and_without_values(template: str, message: str) -> None:
    error = failure({"a": [template]})

    assert (error.path, error.message) == ("a[0]", message)


TOO_LONG = "makes a value longer than 1048576 characters"
TOO_MUCH_OUT = "puts out more than 1048576 characters"
TOO_MANY_STEPS = "takes more than 100000 steps"
TOO_LARGE = "the number is too large"
TOO_WIDE = "a format is at most 1000 wide"
BOMBS = [
    ("{{ 'a' * 1000000000 }}", TOO_LONG),
    ("{{ 1000000000 * 'a' }}", TOO_LONG),
    ("{{ [1] * 1000000000 }}", TOO_LONG),
    ("{{ ['a' * 1000000] * 1000 }}", TOO_MUCH_OUT),
    ("{{ range(100000) }}", "range: a range has at most 10000 numbers"),
    ("{{ range(10000) | join('x' * 10000) }}", f"join: {TOO_LONG}"),
    ("{{ replace('a' * 1000000, 'a', 'b' * 1000000) }}", f"replace: {TOO_LONG}"),
    ("{{ regex_replace('a' * 100000, '', 'b' * 100000) }}", f"regex_replace: {TOO_LONG}"),
    ("{{ '%1000000000d' % 1 }}", TOO_WIDE),
    ("{{ '%.1000000000f' % 1 }}", TOO_WIDE),
    ("{{ '%*d' % (1000000000, 1) }}", "unknown format %*"),
    ("{{ '%s%s' % ('a' * 1000000, 'a' * 1000000) }}", TOO_LONG),
    ("{{ ('a' * 1000000) ~ ('b' * 1000000) }}", TOO_LONG),
    ("{{ 1e308 * 10 }}", TOO_LARGE),
    ("{{ int('9' * 100000) }}", "int: a number has at most 400 digits"),
    ("{{ (" + "9" * 300 + " * 1.5) * " + "9" * 300 + " }}", TOO_LARGE),
    ("{{ " + "zip(" * 20 + "range(9999)" + ")" * 20 + " | to_json }}", f"zip: {TOO_MANY_STEPS}"),
    ("{{ " + "to_json(" * 20 + "'\"' * 1000" + ")" * 20 + " }}", TOO_LONG),
    ("{{ " + "urlencode(" * 12 + "'%' * 100000" + ")" * 12 + " }}", TOO_LONG),
    ("{{ sum([range(10000) | length] * 200000) }}", TOO_MANY_STEPS),
    (
        "{{ format_time(now(), '%1000000000d') }}",
        "format_time can't be used on (string, string) with these values",
    ),
    ("{{ from_yaml('a: &a [1]\\nb: [*a, *a]') }}", "from_yaml: aliases are not supported"),
    ("{{ from_yaml('[' * 30000) }}", "from_yaml: nested deeper than 64 levels"),
    ("{{ from_json('[' * 100000) }}", "from_json can't be used on (string) with these values"),
    (
        "{{ regex_match('ab' * 500000, '((a|b)?){1000}c') }}",
        "regex_match can't be used on (string, string) with these values",
    ),
    ("{{ round(1.5, 100000000) }}", "round: rounds to at most 400 digits"),
]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Let this thread's processor time advance by `pace` seconds at each look."""
    looks = itertools.count()
    made = SimpleNamespace(pace=0.0)
    made.thread_time = lambda: next(looks) * made.pace
    monkeypatch.setattr(budget, "time", made)
    return made


@pytest.mark.parametrize(("template", "message"), BOMBS)
def test_nothing_burns_time_or_memory(template: str, message: str, clock: SimpleNamespace) -> None:
    """Each bound holds by itself, without the clock's help, before anything large is made."""
    compiled = compile_template(template)
    tracemalloc.start()

    with at_most(calls=10_000_000), pytest.raises(TemplateError) as caught:
        compiled.render(CONTEXT)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert caught.value.message == message
    assert peak < 64 * MEGABYTE


def test_functions_look_at_the_clock(clock: SimpleNamespace) -> None:
    clock.pace = 0.06

    assert rendered("{{ upper(lower('a')) }}") == "A"
    assert failure("{{ upper(lower(trim('a'))) }}").message == "takes longer than 100 ms"


NESTED = [
    "{{ " + "(" * 1000 + "1" + ")" * 1000 + " }}",
    "{{ " + "[" * 1000 + "]" * 1000 + " }}",
    "{{ " + "-" * 8000 + "1 }}",
    "{{ " + "not " * 2000 + "1 }}",
    "{{ " + "1+" * 4000 + "1 }}",
    "{{ " + "1 if 1 else " * 600 + "1 }}",
    "{{ a" + ".a" * 4000 + " }}",
    "{{ 1" + "|abs" * 2000 + " }}",
]


@pytest.mark.parametrize("template", NESTED)
def test_deep_expressions_are_refused_when_saved(template: str) -> None:
    with at_most(calls=2_000_000):
        error = refusal(template)

    assert error.message == "the expression is nested too deeply"


def test_long_numbers_are_refused_when_saved() -> None:
    assert refusal("{{ " + "9" * 8000 + " }}").message == "a number is too long"


def test_all_templates_of_a_value_share_the_bounds() -> None:
    error = failure(["{{ 'a' * 600000 }}", "{{ 'a' * 600000 }}"])

    assert (error.path, error.message) == ("[1]", "puts out more than 1048576 characters")


def test_rendering_takes_few_steps() -> None:
    template = compile_template({"a": "{{ trigger.n }}", "b": "x-{{ trigger.name | upper }}", "c": 1})

    with at_most(calls=150):
        template.render(CONTEXT)


PIECES = st.sampled_from(
    [
        *(
            "{{",
            "}}",
            "{%",
            "%}",
            "(",
            ")",
            "[",
            "]",
            "{",
            "}",
            ".",
            ",",
            ":",
            "|",
            "~",
            "+",
            "-",
            "*",
            "/",
            "//",
        ),
        *(
            "%",
            "**",
            "==",
            "<",
            "in",
            "not",
            "and",
            "or",
            "if",
            "else",
            "1",
            "0",
            "1.5",
            "'a'",
            '"b"',
            "null",
        ),
        *("true", "trigger", "event", "key", ".n", ".list", ".map", "[0]", "range", "length", "join", "sort"),
        *("lower", "int", "'%s'", r"'\d'", "\\", "'", '"', "\x00", "\ud800", "é"),
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES, max_size=12).map(" ".join))
def test_any_text_is_rendered_or_refused(inner: str) -> None:
    for text in (inner, "{{ " + inner + " }}"):
        try:
            compile_template(text).render(CONTEXT)
        except TemplateError:
            continue
