"""The newcomer's story: the whole product on its embedded servers, started by one command."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from attune_project.embedded.folder import REPOSITORY, DataFolder
from attune_project.embedded.processes import wait_until
from tests.embedded.conftest import Launched
from tests.embedded.test_up import children_of

pytestmark = pytest.mark.embedded
COMPLETED = "SELECT count(*) FROM attune.execution WHERE status = 'completed' AND action_ref = 'core.echo'"
STATUSES = ("requested", "scheduled", "running", "completed")
Start = Callable[[], Launched]


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path, port: int) -> Iterator[Start]:
    started: list[Launched] = []

    def up() -> Launched:
        argv = [str(REPOSITORY / "attune"), "up", "--port", str(port)]
        started.append(Launched(argv, environment, tmp_path / f"up-{len(started)}"))
        started[-1].wait_for("Attune is up.", seconds=240)
        return started[-1]

    yield up
    for each in started:
        if each.process.poll() is None:
            each.end(signal.SIGTERM)


def ask(environment: dict[str, str], *arguments: str) -> str:
    argv = [str(REPOSITORY / "attune"), *arguments]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def completed(environment: dict[str, str]) -> int:
    """Count as the newcomer does, by `./attune psql`."""
    return int(ask(environment, "psql", "-Atc", COMPLETED))


def test_one_command_runs_everything_and_a_kill_loses_nothing(
    start: Start, environment: dict[str, str], folder: DataFolder, port: int
) -> None:
    """One long story, because each start of the whole product costs many seconds."""
    first = start()
    assert wait_until(lambda: completed(environment) >= 1, seconds=180, pause=0.5)
    shown = executions(environment, port)
    assert shown["data"][0]["status"] in STATUSES
    assert shown["pagination"]["page"] == 1

    decided = enforcements(environment)
    for server in children_of(folder)[:2]:
        os.kill(server.pid, signal.SIGKILL)
    first.end(signal.SIGKILL)
    second = start()
    assert enforcements(environment) >= decided
    before = completed(environment)
    assert wait_until(lambda: completed(environment) > before, seconds=180, pause=0.5)

    children = children_of(folder)
    second.end(signal.SIGINT)
    assert not [child for child in children if child.alive()]


def executions(environment: dict[str, str], port: int) -> dict[str, Any]:
    """Ask as the printed curl does."""
    page = Request(f"http://localhost:{port}/api/v1/executions?page=1&per_page=50")
    page.add_header("Authorization", f"Bearer {ask(environment, 'token')}")
    with urlopen(page) as response:
        return dict(json.load(response))


def enforcements(environment: dict[str, str]) -> int:
    return int(ask(environment, "psql", "-Atc", "SELECT count(*) FROM attune.enforcement"))
