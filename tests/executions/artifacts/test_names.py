"""How files that actions left are called."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executions.artifacts.names import LONGEST, readable, ref_of

REF = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")


@pytest.mark.parametrize(
    ("name", "ref"),
    [
        ("report.csv", "execution.7.report.csv"),
        ("out/Report 1.CSV", "execution.7.out.report_1.csv"),
        (".hidden", "execution.7.hidden"),
        ("a..b//c", "execution.7.a.b.c"),
        ("été.txt", "execution.7._t_.txt"),
        ("...", "execution.7.file"),
    ],
)
def test_a_path_becomes_a_ref(name, ref):
    assert ref_of(7, name) == ref


@settings(deadline=None)
@given(st.text(), st.booleans())
def test_whatever_the_name_the_ref_is_one(name, digest):
    ref = ref_of(12, name, digest=digest)

    assert REF.fullmatch(ref)
    assert len(ref) <= LONGEST
    assert ref.startswith("execution.12.")


def test_names_that_would_share_a_ref_have_their_own_with_a_digest():
    assert ref_of(1, "A b", digest=True) != ref_of(1, "a_b", digest=True)


@settings(deadline=None)
@given(st.binary(min_size=1))
def test_odd_bytes_and_control_characters_are_shown_as_escapes(raw):
    shown = readable(raw.decode("utf-8", "surrogateescape"))

    assert shown.encode()
    assert not set(shown) & {"\n", "\r", "\x00", "\x1b"}


def test_a_name_on_two_lines_is_shown_on_one():
    assert readable("a\nb") == "a\\x0ab"
    assert readable(b"\xff".decode("utf-8", "surrogateescape")) == "\\xff"
