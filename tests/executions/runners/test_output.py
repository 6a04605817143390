import dataclasses
import json
from typing import Any

import pytest

from executions.runners.capture import Captured
from executions.runners.job import Control, Outcome
from executions.runners.result import Output, bounded, conclude
from tests.executions.runners.conftest import JOB


def judge(
    stdout: str | bytes, output_format: str, *, exit_code: int = 0, secrets: tuple[str, ...] = ()
) -> Outcome:
    raw = stdout.encode() if isinstance(stdout, str) else stdout
    job = dataclasses.replace(JOB, output_format=output_format, secret_values=secrets)
    return conclude(Output(exit_code, 1, stdout=Captured(raw)), job)


@pytest.mark.parametrize(
    ("output_format", "stdout", "data"),
    [
        ("json", '{"a": 1}\n', {"a": 1}),
        ("json", '{\n"a":\n1}\n', {"a": 1}),
        ("json", 'starting\nhalf way\n{"a": 1}\n\n', {"a": 1}),
        ("json", 'NaN\n{"a": 1}\n', {"a": 1}),
        ("json", "null", None),
        ("json", "[]", []),
        ("json", '"ü"', "ü"),
        ("yaml", "a: 1\nb: [x, 2026-01-02]\n", {"a": 1, "b": ["x", "2026-01-02"]}),
        ("yaml", "1: yes", {"1": True}),
        ("jsonl", '{"a":1}\n\n[2]\r\n"\u2028"\n', [{"a": 1}, [2], "\u2028"]),
    ],
)
def test_stdout_is_read_as_its_format_says(output_format: str, stdout: str, data: Any) -> None:
    result = judge(stdout, output_format).result

    assert result == {"exit_code": 0, "duration_ms": 1, "succeeded": True, "data": data}


@pytest.mark.parametrize(
    ("output_format", "stdout"),
    [
        ("text", '{"a": 1}'),
        ("json", "not json"),
        ("json", '{"a": 1}\ntrailing'),
        ("json", ""),
        ("json", "  \n"),
        ("json", "9" * 5000),
        ("json", b'"\xff"'),
        ("yaml", "a: [1"),
        ("yaml", "a: !!python/object/apply:os.system [id]"),
        ("yaml", "a: &x [1]\nb: *x"),
        ("yaml", "? {a: 1}\n: 2"),
        ("yaml", "a: !!binary aGk="),
        ("yaml", "a\n---\nb"),
        ("yaml", "- a\n" * 300_000),
        ("jsonl", '{"a":1}\nnope'),
        ("toml", "a = 1"),
        ("json", '{"a": [1, NaN]}'),
        ("json", "1e999"),
        ("json", '{"a": {"b": -1e999}}'),
        ("jsonl", "1\n-Infinity"),
        ("yaml", "a: .inf"),
    ],
)
def test_output_that_does_not_parse_stays_text(output_format: str, stdout: str | bytes) -> None:
    outcome = judge(stdout, output_format)

    assert outcome.status == "completed"
    assert "data" not in outcome.result
    raw = stdout.encode() if isinstance(stdout, str) else stdout
    assert outcome.result["stdout"] == raw.decode(errors="replace")


@pytest.mark.parametrize(
    ("output_format", "stdout", "problem"),
    [
        ("json", "[" * 65 + "]" * 65, "deeper than 64"),
        ("json", "[" * 100_000 + "]" * 100_000, "deeper than 64"),
        ("yaml", "[" * 900 + "]" * 900, "deeper than 64"),
    ],
)
def test_data_that_can_not_be_stored_fails(output_format: str, stdout: str, problem: str) -> None:
    outcome = judge(stdout, output_format)

    assert outcome.status == "failed"
    assert not outcome.result["succeeded"]
    assert outcome.result["error"].startswith("The output can't be stored: ")
    assert problem in outcome.result["error"]
    assert outcome.result["stdout"] == stdout


def test_sixty_four_levels_are_kept() -> None:
    assert judge("[" * 64 + "]" * 64, "json").status == "completed"


def test_only_a_success_is_parsed() -> None:
    result = judge('{"a": 1}', "json", exit_code=2).result

    assert result["stdout"] == '{"a": 1}'
    assert "data" not in result


def test_what_was_cut_is_not_parsed() -> None:
    job = dataclasses.replace(JOB, output_format="jsonl")

    outcome = conclude(Output(0, 1, stdout=Captured(b'{"a":1}\n', truncated=True)), job)

    assert "data" not in outcome.result


def test_nul_and_surrogates_in_data_are_replaced() -> None:
    data = judge(r'{"a\u0000": "x\u0000y", "b": "\ud800"}', "json").result["data"]

    assert data == {"a\ufffd": "x\ufffdy", "b": "\ufffd"}


def test_secrets_in_data_are_masked_whatever_their_spelling() -> None:
    secret = 'p"ä\nss12'
    stdout = json.dumps({secret: [f"x{secret}y", 12345678]})

    data = judge(stdout, "json", secrets=(secret, "12345678")).result["data"]

    assert data == {"********": ["x********y", "********"]}


def test_the_json_spelling_of_a_secret_is_masked_in_text() -> None:
    secret = 'p"ä\nss12'

    result = judge(json.dumps({"k": secret}), "text", secrets=(secret,)).result

    assert result["stdout"] == '{"k": "********"}'


def test_short_secrets_are_left() -> None:
    assert judge("abc", "text", secrets=("abc", "")).result["stdout"] == "abc"


def test_the_longer_secret_is_masked_first() -> None:
    result = judge("password-and-more", "text", secrets=("password", "password-and-more")).result

    assert result["stdout"] == "********"


def test_half_a_secret_at_the_cut_is_dropped() -> None:
    job = dataclasses.replace(JOB, secret_values=("hunter22",))

    result = conclude(Output(0, 1, stdout=Captured(b"it is hunt", truncated=True)), job).result

    assert result["stdout"].startswith("it is \n[output cut after")


def test_a_secret_over_several_lines_is_not_the_error() -> None:
    secret = "-----BEGIN\nabcdef\n-----END"
    job = dataclasses.replace(JOB, secret_values=(secret,))

    result = conclude(Output(1, 1, stderr=Captured(f"bad:\n{secret}\n".encode())), job).result

    assert result["error"] == "********"


@pytest.mark.parametrize("data", ["x" * 100, ["é"] * 20, [1e300], {"k": -1.5e-99}])
def test_data_beyond_the_limit_fails(data: Any) -> None:
    outcome = bounded(judge(json.dumps(data), "json"), 75)

    assert outcome.status == "failed"
    assert outcome.result == {
        "exit_code": 0,
        "duration_ms": 1,
        "succeeded": False,
        "error": "The result is larger than 0 MiB; leave large data as an artifact",
    }


def test_data_within_the_limit_and_text_are_kept() -> None:
    kept = judge(json.dumps(["é", 1.5, 12345678]), "json")

    assert bounded(kept, 30) is kept
    assert bounded(judge("x" * 100, "text"), 30).status == "completed"


def test_long_text_is_left_to_the_log_of_a_worker_that_keeps_one() -> None:
    control = Control()
    control.keeps_output = True
    long = Captured(b"x" * 300_000)

    outcome = conclude(Output(1, 1, stdout=long, stderr=Captured(b"no\n")), JOB, control)

    assert outcome.in_log == ("stdout",)
    assert "stdout" not in outcome.result
    assert (outcome.result["stderr"], outcome.result["error"]) == ("no\n", "no")
    assert conclude(Output(0, 1, stdout=long), JOB, Control()).result["stdout"] == "x" * 300_000
