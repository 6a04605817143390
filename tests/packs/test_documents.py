from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attune_project.packs.documents import LARGEST, DocumentError, parse, read


def refusal(text: str | bytes) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        parse(text.encode() if isinstance(text, str) else text)
    return caught.value


def test_scalars_are_json():
    document = parse(b"a: 1\nb: 1.5\nc: true\nd: null\ne: text\nf: -2e3\ng: ''\nh:\n")

    assert document.values == {
        "a": 1, "b": 1.5, "c": True, "d": None, "e": "text", "f": -2000.0, "g": "", "h": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    "word", ["on", "off", "yes", "No", "2026-01-31", "12:30:00", "0x1f", "1_000", "'7'", ".inf"]
)
def test_what_yaml_1_1_would_change_stays_text(word):
    assert parse(f"a: {word}".encode()).values == {"a": word.strip("'")}


def test_every_path_has_its_line():
    document = parse(b"ref: a\nconditions:\n  all:\n    - field: x\n    - field: y\n      operator: z\n")

    assert document.line("conditions.all[1].operator") == 6
    assert document.line("conditions.all[1].missing") == 5
    assert document.line("nowhere") == 1


def test_keys_are_text_as_they_are_written():
    assert parse(b"200: ok\ntrue: x\n").values == {"200": "ok", "true": "x"}


def test_a_literal_block_keeps_its_lines():
    assert parse(b"script: |\n  echo a\n  echo b\n").values == {"script": "echo a\necho b\n"}


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("", 1, "the file is empty"),
        ("- a\n", 1, "expected a map of keys"),
        ("a: 1\nb: 2\na: 3\n", 3, "the key 'a' stands here twice"),
        ("a: &x 1\nb: *x\n", 2, "aliases aren't taken; put quotes around text that begins with *"),
        (
            "a: !!python/object:os.system 1\n",
            1,
            "the tag tag:yaml.org,2002:python/object:os.system isn't taken",
        ),
        ("a: 1\n---\nb: 2\n", 2, "a second document in the file"),
        ("a: {{ b }}\n", 1, "a key has to be text; put quotes around {{ }}"),
        ("a: 1\nb: [1, 2\n", 3, "not YAML"),
        ("a: 1\n\tb: 2\n", 2, "not YAML"),
        ('a: 1\nb: "x\\0y"\n', 2, "NUL characters can't be stored"),
        ("a:\n  b: 1e999\n", 2, "not finite"),
        (f"a: {'9' * 5000}\n", 1, "too many digits"),
    ],
)
def test_what_is_refused_is_named_with_its_line(text, line, reason):
    error = refusal(text)

    assert reason in error.reason
    assert error.line == line


def test_text_in_another_encoding_is_refused():
    assert refusal(b"a: 1\nb: \xff\n").reason == "not UTF-8"


def test_a_large_file_is_refused():
    assert "larger than" in refusal("a: " + "x" * LARGEST).reason


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_deep_nesting_is_refused(opening):
    assert refusal("a: " + opening * 20_000 if opening != "- " else opening * 20_000).line == 1


def test_fifty_levels_are_taken():
    assert parse(b"a: " + b"[" * 50 + b"]" * 50).values["a"]


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(DocumentError, match="can't be read: No such file"):
        read(tmp_path / "none.yaml")


@given(st.text(alphabet="ab:-[]{}&*!|>'\"#%@`,? \n\t0.", max_size=60))
@settings(max_examples=200, deadline=None)
def test_nothing_but_a_document_error_comes_out(text):
    with suppress(DocumentError):
        assert isinstance(parse(text.encode()).values, dict)
