import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attune_project.language.paths import MISSING, PathError, parse

VALUE = {
    "a": {"b": [{"c": 1}, {"c": 2, "d": {"name": "deep"}}], "x-y": 3, "x.y": 4, "none": None},
    "имя": "волк",
    "0": "zero",
    "items": "a key",
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a.b[0].c", 1),
        ("a.b[1].d.name", "deep"),
        ("a['x-y']", 3),
        ("a.x-y", 3),
        ("a.'x.y'", 4),
        ('a["x.y"]', 4),
        ("имя", "волк"),
        ("items", "a key"),
        ("0", "zero"),
        ("a.b[*].c", 1),
        ("a.b[*].d.name", "deep"),
        ("..name", "deep"),
        ("a..name", "deep"),
        ("a.none", None),
        ("a.b[9].c", MISSING),
        ("a.b.c", MISSING),
        ("a.b[0].c.d", MISSING),
        ("..nothing", MISSING),
        ("имя[0]", MISSING),
    ],
)
def test_the_first_hit_is_returned(path: str, found: object) -> None:
    assert parse(path).first(VALUE) == found


@pytest.mark.parametrize(
    "path", ["", " ", "a.", ".a", "a..", "a[", "a[-1]", "a[x]", "a b", "a'b'", "*", "a" * 2000]
)
def test_what_cannot_be_read_is_refused(path: str) -> None:
    with pytest.raises(PathError):
        parse(path)


def test_the_column_is_named() -> None:
    with pytest.raises(PathError, match=r"path 'ab\.c\[x\]': can't be read from column 5"):
        parse("ab.c[x]")


def test_a_path_of_descents_cannot_run_away() -> None:
    value: object = {"b": 1}
    for _ in range(60):
        value = {"a": value}

    with pytest.raises(PathError, match="looks at more than"):
        parse("..a" * 10 + "..nope").first(value)


@settings(max_examples=100, deadline=None)
@given(st.text("ab.[]0*'\"\\ \U0001f600", max_size=20))
def test_any_text_is_a_path_or_refused(text: str) -> None:
    try:
        path = parse(text)
    except PathError:
        return

    path.first(VALUE)
