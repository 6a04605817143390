"""What did not do its work is loud, and no number."""

import json
from typing import Any

import pytest

from benchmarks import __main__ as command
from benchmarks.cases import CASES
from benchmarks.errors import Incorrect
from benchmarks.stage import Stage


class Closing:
    """A Bench that only knows whether it was closed."""

    closed = False

    def close(self) -> None:
        self.closed = True


class Answering:
    """A database that gives one answer."""

    def __init__(self, answer: tuple[int, ...]) -> None:
        self.answer = answer

    def all(self, *question: Any) -> list[tuple[int, ...]]:
        return [self.answer]


def stage_with(*counts: int) -> Stage:
    stage = Stage.__new__(Stage)  # without services
    stage.rows = Answering(counts)  # type: ignore[assignment]
    return stage


def test_events_that_were_all_completed_once_are_right() -> None:
    stage_with(5, 5, 5, 5).verify(after=0, count=5)


@pytest.mark.parametrize("counts", [(4, 4, 4, 4), (5, 4, 4, 4), (5, 5, 4, 4), (5, 5, 5, 4), (6, 6, 6, 6)])
def test_events_that_were_not_are_incorrect(counts: tuple[int, ...]) -> None:
    with pytest.raises(Incorrect, match="of 5 events"):
        stage_with(*counts).verify(after=0, count=5)


@pytest.mark.parametrize("problem", [Incorrect("two were lost"), ValueError("two were lost")])
def test_a_case_that_fails_is_told_and_its_services_are_ended(
    monkeypatch: pytest.MonkeyPatch, problem: Exception
) -> None:
    def failing(bench: Any) -> Any:
        raise problem

    monkeypatch.setitem(CASES, "scale", failing)
    bench = Closing()

    found = command.measured(bench, "scale")  # type: ignore[arg-type]

    assert found["failed"] == f"{type(problem).__name__}: two were lost"
    assert bench.closed


def test_the_exit_code_says_that_a_case_failed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {"cases": {"scale": {"unit": "", "failed": "lost"}, "backlog": {"unit": "events/s", "median": 1}}}
    monkeypatch.setattr(command, "addresses", lambda: ("", ""))
    monkeypatch.setattr(command, "run", lambda *asked: found)
    monkeypatch.setattr(command.signal, "signal", lambda *handler: None)

    assert command.main([]) == 1

    output = capsys.readouterr()
    assert json.loads(output.out) == found
    assert output.err == "bench: FAILED: scale: lost\n"


def test_the_exit_code_says_that_all_went_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "addresses", lambda: ("", ""))
    monkeypatch.setattr(
        command, "run", lambda *asked: {"cases": {"backlog": {"unit": "events/s", "median": 1}}}
    )
    monkeypatch.setattr(command.signal, "signal", lambda *handler: None)

    assert command.main([]) == 0
