import dataclasses
from collections.abc import Callable
from pathlib import Path
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

GRACE = 0.3

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
        return run(given, Control(), RunnerSettings(kill_grace=GRACE))

    return start


@pytest.fixture
def shell(tmp_path: Path) -> Run:
    """Run a script: `shell("echo $name", name="x")`; `job={...}` changes the job."""

    def start(script: str, *, job: dict[str, Any] | None = None, **parameters: Any) -> Outcome:
        given = dataclasses.replace(
            JOB,
            action_ref="demo.try",
            runtime_ref="core.shell",
            entrypoint=script,
            parameters=parameters,
            **(job or {}),
        )
        return run(given, Control(), RunnerSettings(runs_dir=tmp_path, kill_grace=GRACE))

    return start
