"""The newcomer's story: the whole product on its embedded servers, started by one command."""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from attune_project.embedded.folder import REPOSITORY, DataFolder
from attune_project.embedded.processes import wait_until
from tests.embedded.conftest import Launched, query
from tests.embedded.test_up import children_of, printed_assignments

pytestmark = pytest.mark.embedded
COMPLETED = "SELECT count(*) FROM attune.execution WHERE status = 'completed' AND action_ref = 'core.echo'"
Start = Callable[[], Launched]


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path, port: int) -> Iterator[Start]:
    started: list[Launched] = []

    def up() -> Launched:
        argv = [str(REPOSITORY / "attune"), "up", "--port", str(port)]
        started.append(Launched(argv, environment, tmp_path / f"up-{len(started)}"))
        started[-1].wait_for("Attune is up.", seconds=90)
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


def test_the_demo_rule_completes_executions(
    start: Start, environment: dict[str, str], folder: DataFolder, port: int
) -> None:
    began = time.monotonic()
    up = start()
    assert wait_until(lambda: completed(environment) >= 1, seconds=60, pause=0.5)
    assert time.monotonic() - began < 60

    page = Request(f"http://localhost:{port}/api/v1/executions?page=1&per_page=50")
    page.add_header("Authorization", f"Bearer {ask(environment, 'token')}")
    with urlopen(page) as response:
        shown = json.load(response)
    assert shown["data"][0]["action_ref"] == "core.echo"
    assert shown["pagination"]["page"] == 1

    children = children_of(folder)
    assert up.end(signal.SIGINT) < 10
    assert not [child for child in children if child.alive()]

    before = completed(environment)
    start()
    assert wait_until(lambda: completed(environment) > before, seconds=60, pause=0.5)


def test_a_kill_of_the_launcher_and_its_servers_loses_nothing(
    start: Start, environment: dict[str, str], folder: DataFolder
) -> None:
    up = start()
    assert wait_until(lambda: completed(environment) >= 1, seconds=60, pause=0.5)
    url = printed_assignments(ask(environment, "env"))["DATABASE_URL"]
    decided = query(url, "SELECT count(*) FROM attune.enforcement")
    for child in children_of(folder)[:2]:
        subprocess.run(["/bin/kill", "-KILL", str(child.pid)], check=True)
    up.end(signal.SIGKILL)

    start()

    url = printed_assignments(ask(environment, "env"))["DATABASE_URL"]
    assert query(url, "SELECT count(*) FROM attune.enforcement") >= decided
    wanted = query(url, COMPLETED)[0][0]
    assert wait_until(lambda: completed(environment) > int(str(wanted)), seconds=60, pause=0.5)
