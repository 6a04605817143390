import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from executions.runners import Control, Job, Outcome, RunnerSettings, run

JOB = Job(
    execution_id=7,
    action_ref="core.echo",
    pack_ref="core",
    runtime_ref="core.builtin",
    entrypoint="core.echo",
    parameters={},
    timeout_seconds=20.0,
)

Run = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let action code run: these tests are a worker."""
    monkeypatch.setenv("ATTUNE_SERVICE", "worker")


@pytest.fixture
def builtin() -> Run:
    """Run a builtin: `builtin("core.echo", message="hi")`."""

    def start(entrypoint: str, *, job: dict[str, Any] | None = None, **parameters: Any) -> Outcome:
        given = dataclasses.replace(JOB, entrypoint=entrypoint, parameters=parameters, **(job or {}))
        return run(given, Control(), RunnerSettings(kill_grace=0.3))

    return start
