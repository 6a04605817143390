import dataclasses
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from executions.runners import Control, Job, Outcome, RunnerSettings, run
from tests.executions.runners.http_server import loopback, serving

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
Http = Callable[..., Outcome]


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
    return shell_of(tmp_path, GRACE)


def shell_of(runs: Path, grace: float) -> Run:
    """Return how to run scripts that have `grace` seconds to end once they are told to."""

    def start(script: str, *, job: dict[str, Any] | None = None, **parameters: Any) -> Outcome:
        given = dataclasses.replace(
            JOB,
            action_ref="demo.try",
            runtime_ref="core.shell",
            entrypoint=script,
            parameters=parameters,
            **(job or {}),
        )
        return run(given, Control(), RunnerSettings(runs_dir=runs, kill_grace=grace))

    return start


@pytest.fixture(scope="session")
def port() -> Iterator[int]:
    with serving(loopback()) as port:
        yield port


@pytest.fixture
def http(port: int) -> Http:
    """Request a path of the server: `http("/echo", method="POST")`; a full URL goes elsewhere."""

    def request(
        target: str,
        *,
        allow: tuple[str, ...] = ("127.0.0.1",),
        limit: float = 20,
        host: dict[str, Any] | None = None,
        **parameters: Any,
    ) -> Outcome:
        url = f"http://127.0.0.1:{port}{target}" if target.startswith("/") else target
        job = dataclasses.replace(
            JOB,
            action_ref="core.http_request",
            entrypoint="core.http_request",
            parameters={"url": url, **parameters},
            timeout_seconds=limit,
        )
        return run(job, Control(), RunnerSettings(http_allow=allow, **(host or {})))

    return request


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Answer look-ups of these names with these addresses, one list of answers after the other."""
    answers: dict[str, list[str]] = {}
    real = socket.getaddrinfo

    def look_up(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        found = answers.get(host, [host])
        return [info for address in found for info in real(address, port, *args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return answers
