"""The line protocol."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executions.artifacts.lines import BadLine, ProgressTold, ValueTold, read


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("progress percent=40 text=unpacking it all", ProgressTold(40.0, "unpacking it all")),
        ("progress percent=12.5", ProgressTold(12.5, None)),
        ("progress percent=50%", ProgressTold(50.0, None)),
        ("progress text=step 1 of 3", ProgressTold(None, "step 1 of 3")),
        ("progress percent=-4", ProgressTold(0.0, None)),
        ("progress percent=250 text=", ProgressTold(100.0, "")),
        ("progress text=" + "x" * 900, ProgressTold(None, "x" * 500)),
        ("artifact name=rows value=12", ValueTold("rows", "other", 12)),
        ('artifact name="b c" value={"a": [1, null]}', ValueTold("b c", "other", {"a": [1, None]})),
        ("artifact name=empty value=null", ValueTold("empty", "other", None)),
        ("url name=r url=https://a.org/a?b=c", ValueTold("r", "url", {"url": "https://a.org/a?b=c"})),
    ],
)  # fmt: skip
def test_good_lines(line, told):
    assert read(f"::attune {line}") == told


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("", "unknown word ''"),
        ("dance now", "unknown word 'dance'"),
        ("progress", "expected percent"),
        ("progress percent=forty", "percent='forty' is no number"),
        ("progress percent=nan", "percent is no number"),
        ("progress 40", "expected percent"),
        ("artifact name=x", "expected name=<name> value=<JSON>"),
        ("artifact value=1 name=x", "expected name=<name> value=<JSON>"),
        ("artifact name=x value={", "value: malformed JSON"),
        ("artifact name=x value=NaN", "value: "),
        ('artifact name=x value="\\u0000"', "value: "),
        ("artifact name=x value=" + "[" * 100 + "]" * 100, "deeper"),
        ("artifact name=" + "x" * 300 + " value=1", "name: longer"),
        ("artifact name=x value=" + "1" * 70_000, "longer than 65536"),
        ("url name=x url=javascript:alert(1)", "url: expected an address"),
        ("url name=x url=/etc/passwd", "url: expected an address"),
        ("url name=x url=http://[", "url: expected an address"),
        ("url name=x url=https://" + "x" * 3000, "url: longer than 2000"),
    ],
)
def test_bad_lines_say_why(line, problem):
    with pytest.raises(BadLine) as caught:
        read(f"::attune {line}")

    assert problem in str(caught.value)


@settings(deadline=None)
@given(st.text())
def test_no_line_is_more_than_bad(text):
    for word in ("", "progress ", "artifact name=x value=", "url name=x url="):
        with suppress(BadLine):
            read(f"::attune {word}{text}")


def test_the_lines_that_the_documentation_shows_are_good():
    page = Path(__file__).parents[3] / "docs" / "artifacts.md"
    shown = [line for line in page.read_text().splitlines() if line.startswith("::attune ")]

    assert [type(read(line)) for line in shown] == [ProgressTold, ValueTold, ValueTold]
