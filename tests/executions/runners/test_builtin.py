import dataclasses
import threading
from typing import Any

import pytest

from executions.runners import Control, NotAWorker, Outcome, run, runner_for
from tests.executions.runners.conftest import JOB, Run


def test_echo_prints_the_message_without_newline(builtin: Run) -> None:
    outcome = builtin("core.echo", message="hällo")

    assert outcome == Outcome(
        "completed", {"exit_code": 0, "duration_ms": 0, "succeeded": True, "stdout": "hällo"}
    )


def test_echo_writes_other_values_as_json(builtin: Run) -> None:
    outcome = builtin("echo", message={"a": [1, None]})

    assert outcome.result["stdout"] == '{"a": [1, null]}'


def test_echo_parses_its_message_when_the_output_is_json(builtin: Run) -> None:
    outcome = builtin("core.echo", job={"output_format": "json"}, message='{"a": 1}')

    assert outcome.result["data"] == {"a": 1}
    assert "stdout" not in outcome.result


def test_echo_masks_secrets(builtin: Run) -> None:
    outcome = builtin("core.echo", job={"secret_values": ("hunter22",)}, message="it is hunter22!")

    assert outcome.result["stdout"] == "it is ********!"


def test_noop_completes(builtin: Run) -> None:
    outcome = builtin("core.noop")

    assert outcome.status == "completed"
    assert outcome.result["exit_code"] == 0


def test_noop_fails_with_the_exit_code_asked_for(builtin: Run) -> None:
    outcome = builtin("core.noop", exit_code=3)

    assert outcome.status == "failed"
    assert outcome.result["exit_code"] == 3
    assert outcome.result["error"] == "Command exited with code 3"


@pytest.mark.parametrize("code", [True, -1, 256, "1", 1.5, None])
def test_noop_refuses_what_is_no_exit_code(builtin: Run, code: Any) -> None:
    outcome = builtin("core.noop", exit_code=code)

    assert outcome.status == "failed"
    assert outcome.result["error"] == "Parameter exit_code: expected a whole number from 0 to 255"


def test_sleep_waits(builtin: Run) -> None:
    outcome = builtin("core.sleep", seconds=0.05)

    assert outcome.status == "completed"
    assert outcome.result["duration_ms"] >= 50


def test_sleep_ends_at_the_limit(builtin: Run) -> None:
    outcome = builtin("core.sleep", job={"timeout_seconds": 0.05, "action_ref": "core.sleep"}, seconds=60)

    assert outcome.status == "timeout"
    assert outcome.result["error"] == "core.sleep timed out after 0.05 s"


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        ("cancelled", "Cancelled while running"),
        ("lost", "Stopped: the worker lost its lease"),
        ("shutdown", "Stopped: the worker is shutting down"),
    ],
)
def test_sleep_wakes_when_it_is_stopped(reason: Any, error: str) -> None:
    control = Control()
    job = dataclasses.replace(JOB, entrypoint="core.sleep", parameters={"seconds": 60})
    threading.Timer(0.05, control.stop, [reason]).start()

    outcome = run(job, control)

    assert (outcome.status, outcome.result["error"]) == ("cancelled", error)


def test_the_first_reason_to_stop_stays() -> None:
    control = Control()
    control.stop("cancelled")

    control.stop("shutdown")

    assert control.reason == "cancelled"


@pytest.mark.parametrize("value", ["1", True, -1, float("nan"), float("inf"), None, []])
def test_sleep_refuses_what_is_no_duration(builtin: Run, value: Any) -> None:
    outcome = builtin("core.sleep", seconds=value)

    assert outcome.status == "failed"
    assert outcome.result["error"].startswith("Parameter seconds: expected a number")


def test_an_unknown_function_fails_and_names_the_known(builtin: Run) -> None:
    outcome = builtin("core.fly")

    assert outcome.status == "failed"
    assert outcome.result["error"].startswith("core.builtin has no function 'core.fly'; one of core.echo,")


def test_only_instant_functions_are_inline() -> None:
    runner = runner_for("core.builtin")

    assert runner is not None
    names = ("core.echo", "noop", "core.sleep", "core.http_request")
    inline = {name for name in names if runner.is_inline(name)}
    assert inline == {"core.echo", "noop"}


def test_check_names_an_unknown_function() -> None:
    runner = runner_for("core.builtin")

    assert runner is not None
    assert runner.check("core.echo", None) is None
    assert "no function 'x'" in (runner.check("x", None) or "")


def test_a_missing_runtime_fails() -> None:
    outcome = run(dataclasses.replace(JOB, runtime_ref="core.cobol"), Control())

    assert outcome.status == "failed"
    assert outcome.result["error"] == "Runtime core.cobol is not available on this worker"


@pytest.mark.parametrize("service", ["web", "beat", "sensor", "executor", "notifier", "", "nonsense"])
def test_action_code_runs_only_in_a_worker(monkeypatch: pytest.MonkeyPatch, service: str) -> None:
    monkeypatch.setenv("ATTUNE_SERVICE", service)

    with pytest.raises(NotAWorker, match=r"core\.echo may run only in a worker, not in"):
        run(JOB, Control())


def test_an_exception_in_a_runner_is_an_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*_: object) -> Outcome:
        raise ZeroDivisionError("oh no hunter22")

    monkeypatch.setattr("executions.runners.builtin.runner.BuiltinRunner.run", explode)

    outcome = run(dataclasses.replace(JOB, secret_values=("hunter22",)), Control())

    assert outcome.status == "failed"
    assert outcome.result["error"] == "core.builtin broke: ZeroDivisionError: oh no ********"
