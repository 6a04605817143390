import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attune_project.language.documents import DocumentError, check_document, parse_json
from tests.work import at_most

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")), inner, max_size=4
        )
    ),
    max_leaves=20,
)


def refusal(raw: bytes) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        parse_json(raw)
    return caught.value


@pytest.mark.parametrize(
    ("raw", "kind", "path"),
    [
        (b'{"a": NaN}', "number", ""),
        (b'{"a": -Infinity}', "number", ""),
        (b'{"a": [1, 1e999]}', "number", "a[1]"),
        (b"[" + b"9" * 5000 + b"]", "number", ""),
        (b"[" + b"9" * 4250 + b"]", "number", "[0]"),
        (b'{"a": {"b": ["x", "\\u0000"]}}', "nul", "a.b[1]"),
        (b'{"a": {"\\u0000": 1}}', "nul", "a"),
        (b'["\\ud800"]', "encoding", "[0]"),
        (b'"\xff"', "syntax", ""),
        (b"\xef\xbb\xbf{}", "syntax", ""),
        (b"{", "syntax", ""),
        (b"", "syntax", ""),
        (b"[1] 2", "syntax", ""),
        (b"[" * 20_000 + b"]" * 20_000, "depth", ""),
        (b'{"a":' * 20_000 + b"1" + b"}" * 20_000, "depth", ""),
        (b"[" * 65 + b"]" * 65, "depth", ""),
    ],
)
def test_what_postgresql_or_the_standard_refuses_is_named_with_its_place(
    raw: bytes, kind: str, path: str
) -> None:
    error = refusal(raw)

    assert (error.kind, error.path) == (kind, path)


def test_64_levels_are_accepted() -> None:
    assert parse_json(b"[" * 64 + b"]" * 64)


def test_bodies_that_cannot_be_read_differ_from_values_that_cannot_be_stored() -> None:
    assert refusal(b"{").malformed
    assert refusal(b"[" * 100 + b"]" * 100).malformed
    assert not refusal(b"NaN").malformed
    assert not refusal(b'"\\u0000"').malformed


@pytest.mark.parametrize("value", [(1,), {1: 2}, b"x", {"a": object()}, {3, 4}])
def test_values_that_json_lacks_are_refused(value: object) -> None:
    with pytest.raises(DocumentError) as caught:
        check_document(value)

    assert caught.value.kind == "syntax"


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert parse_json(b'"\\ud83d\\ude00"') == "\U0001f600"


@settings(max_examples=50, deadline=None)
@given(JSON)
def test_what_json_holds_comes_back_as_it_was(value: object) -> None:
    assert parse_json(json.dumps(value).encode()) == value


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60) | st.text('[]{}",:01eE-\\u d8', max_size=60).map(str.encode))
def test_any_bytes_are_parsed_or_refused(raw: bytes) -> None:
    try:
        value = parse_json(raw)
    except DocumentError:
        return

    check_document(value)


def test_an_ordinary_payload_takes_few_steps() -> None:
    payload = {"host": "web-07", "tags": ["a", "b"], "body": {"repo": {"name": "core"}, "n": 5.5, "ok": True}}

    with at_most(calls=100):
        check_document(payload)
