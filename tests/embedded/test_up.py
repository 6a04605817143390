"""`up` and its companions, with real servers and fake services."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from attune_project.embedded import cli
from attune_project.embedded.folder import DataFolder, read_private
from attune_project.embedded.placement import place
from attune_project.embedded.postgres import Postgres
from attune_project.embedded.processes import Identity
from attune_project.embedded.services import service
from attune_project.embedded.up import STORY
from attune_project.embedded.valkey import Valkey
from tests.embedded.conftest import FAKE, Launched, query

Launch = Callable[..., Launched]
REPOSITORY = Path(__file__).resolve().parents[2]


def children_of(folder: DataFolder) -> list[Identity]:
    found = read_private(folder.state_file)["children"]
    return [Identity(child["pid"], child["started"]) for child in found]


def ask(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(FAKE), *arguments], env=environment, capture_output=True, text=True, check=False
    )


def printed_assignments(output: str) -> dict[str, str]:
    words = [word for word in shlex.split(output) if word != "export"]
    return dict(word.split("=", 1) for word in words)


def test_the_readme_shows_what_up_prints() -> None:
    readme = (REPOSITORY / "README.md").read_text().splitlines()
    printed = STORY.replace("{url}", "http://localhost:8080").splitlines()

    commands = [line.strip() for line in printed if line.startswith(("  curl", "  ./attune"))]

    assert len(commands) == 3
    assert {f"$ {command}" for command in commands} <= set(readme)


def test_ctrl_c_ends_everything(launch: Launch, folder: DataFolder, port: int) -> None:
    up = launch("up", "--port", str(port), FAKE_STUBBORN="beat")
    up.wait_for("Attune is up.")
    up.wait_for("beat serves")
    assert up.said("attune: sandbox none (a test)")
    children = children_of(folder)
    assert len(children) == 8

    up.end(signal.SIGINT)

    assert up.said("attune: beat did not end in time and was killed")
    assert up.process.returncode == 0
    assert not [child for child in children if child.alive()]


def test_nobody_may_take_longer_than_ten_seconds_to_end(folder: DataFolder) -> None:
    """Services, broker and database end one after the other."""
    programs = [
        service("beat", {}, folder.path, 8080),
        Valkey(folder.path, folder.path).program(),
        Postgres(place(folder), folder.path, "one", "two").program(),
    ]

    assert sorted(program.order for program in programs) == [0, 1, 2]
    assert sum(program.patience for program in programs) < 10


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_end_everything_too(
    launch: Launch, folder: DataFolder, port: int, sign: signal.Signals
) -> None:
    up = launch("up", "--port", str(port))
    up.wait_for("attune: starting on")

    up.end(sign)

    assert up.process.returncode == 0
    assert not folder.state_file.exists()


def test_a_start_after_a_kill_needs_no_hand(launch: Launch, folder: DataFolder, port: int) -> None:
    killed = launch("up", "--port", str(port), FAKE_STUBBORN="web")
    killed.wait_for("Attune is up.")
    children = children_of(folder)
    killed.end(signal.SIGKILL)

    launch("up", "--port", str(port)).wait_for("Attune is up.")

    assert not [child for child in children if child.alive()]
    assert len(children_of(folder)) == 8


def test_a_killed_service_comes_back(launch: Launch, folder: DataFolder, port: int) -> None:
    up = launch("up", "--port", str(port))
    up.wait_for("Attune is up.")

    os.kill(children_of(folder)[2].pid, signal.SIGKILL)

    up.wait_for("notifier ended (signal SIGKILL), starting it again in 0.5 s")
    assert up.process.poll() is None


def test_a_second_up_says_so_and_stops(launch: Launch, environment: dict[str, str], port: int) -> None:
    up = launch("up", "--port", str(port))
    up.wait_for("Attune is up.")

    second = ask(environment, "up", "--port", str(port))

    assert second.returncode == 1
    assert f"`./attune up` (pid {up.process.pid}) is using" in second.stderr


def test_a_taken_port_is_named(environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        refused = ask(environment, "up", "--port", str(port))

    assert refused.returncode == 1
    assert f"can't listen on port {port} of 127.0.0.1: Address already in use." in refused.stderr
    assert "--port N" in refused.stderr


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", "٨"])
def test_what_is_no_port_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["up", f"--port={port}"])

    assert ended.value.code == 2
    assert "isn't a port: expected 1 to 65535" in capsys.readouterr().err


def test_the_administrator_is_kept_and_printed(
    launch: Launch, folder: DataFolder, environment: dict[str, str], port: int
) -> None:
    up = launch("up", "--port", str(port), ATTUNE_ADMIN_LOGIN="ada")
    up.wait_for("Attune is up.")

    printed = printed_assignments(ask(environment, "env").stdout)

    kept = json.loads(folder.admin_file.read_text())
    assert (printed["ATTUNE_ADMIN_LOGIN"], kept["login"]) == ("ada", "ada")
    assert printed["ATTUNE_ADMIN_PASSWORD"] == kept["password"]
    assert printed["ATTUNE_API_URL"] == f"http://localhost:{port}"
    assert up.said(kept["password"])
    assert query(printed["DATABASE_URL"], "SELECT 1") == [(1,)]


def test_psql_finds_our_tables(launch: Launch, environment: dict[str, str], port: int) -> None:
    launch("up", "--port", str(port)).wait_for("Attune is up.")

    shown = ask(environment, "psql", "-Atc", "SHOW search_path")

    assert shown.stdout == "attune,public\n"


def test_psql_starts_the_database_when_nothing_runs(environment: dict[str, str], folder: DataFolder) -> None:
    shown = ask(environment, "psql", "-Atc", "SELECT 6 * 7")

    assert (shown.stdout, shown.stderr) == ("42\n", "")
    assert folder.holder() is None
    assert not folder.state_file.exists()


def test_a_command_passes_its_exit_code_on(environment: dict[str, str]) -> None:
    assert ask(environment, "psql", "-c", "nonsense", "-v", "ON_ERROR_STOP=1").returncode == 1


def test_down_stops_what_runs(launch: Launch, environment: dict[str, str], port: int) -> None:
    up = launch("up", "--port", str(port))
    up.wait_for("Attune is up.")

    down = ask(environment, "down")

    assert (down.returncode, down.stderr) == (0, "attune: stopped\n")
    assert up.process.wait(timeout=60) == 0


def test_without_a_running_attune_there_is_nothing_to_print(environment: dict[str, str]) -> None:
    shown = ask(environment, "env")

    assert shown.returncode == 1
    assert "nothing is running on" in shown.stderr


def test_given_servers_are_not_started(launch: Launch, folder: DataFolder, port: int) -> None:
    given = {"DATABASE_URL": "postgresql://me@elsewhere/db", "BROKER_URL": "amqp://elsewhere//"}
    up = launch("up", "--port", str(port), **given)

    up.wait_for("of DATABASE_URL")

    assert up.said("of BROKER_URL")
    assert len(children_of(folder)) == 6
    assert not (folder.path / "postgres").exists()
