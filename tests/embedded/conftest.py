"""Real servers and real processes, each test with a data folder of its own."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from attune_project.embedded.environment import secrets_of
from attune_project.embedded.folder import DataFolder
from attune_project.embedded.logs import Terminal
from attune_project.embedded.placement import make_socket_folder, place
from attune_project.embedded.postgres import Postgres
from attune_project.embedded.processes import wait_until
from attune_project.embedded.supervisor import Supervisor

FAKE = Path(__file__).with_name("fake_attune.py")


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that every user can enter (pytest's own aren't), with a space in its name."""
    path = Path(tempfile.mkdtemp(prefix="attune test ", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def folder(public: Path) -> DataFolder:
    made = DataFolder(public / "data")
    made.make()
    return made


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def supervisor(log: Path) -> Iterator[Supervisor]:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    made = Supervisor(Terminal(descriptor), lambda children: None)
    yield made
    made.stop()
    os.close(descriptor)


@pytest.fixture
def make_postgres() -> Iterator[Callable[[DataFolder], Postgres]]:
    """Make an initialised cluster of a data folder; its socket folder goes with the test."""
    sockets = []

    def make(folder: DataFolder) -> Postgres:
        secrets = secrets_of(folder)
        placement = place(folder)
        sockets.append(make_socket_folder(placement.account))
        passwords = secrets["postgres_superuser_password"], secrets["postgres_password"]
        postgres = Postgres(placement, sockets[-1] / "postgres", *passwords)
        postgres.initialise()
        return postgres

    yield make
    for path in sockets:
        shutil.rmtree(path)


@pytest.fixture
def postgres(folder: DataFolder, make_postgres: Callable[[DataFolder], Postgres]) -> Postgres:
    return make_postgres(folder)


def query(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def turn_until(supervisor: Supervisor, condition: Callable[[], bool], seconds: float = 90) -> None:
    """Let the supervisor work until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        supervisor.turn()


class Launched:
    """A launcher in a process of its own, with its output in a file."""

    def __init__(self, argv: list[str], environment: dict[str, str], log: Path) -> None:
        self.log = log
        with open(log, "ab") as output:
            self.process = subprocess.Popen(argv, env=environment, stdout=output, stderr=subprocess.STDOUT)

    def said(self, text: str) -> bool:
        return text in self.log.read_text()

    def wait_for(self, text: str, seconds: float = 120) -> None:
        wait_until(lambda: self.said(text) or self.process.poll() is not None, seconds)
        assert self.said(text), self.log.read_text()

    def end(self, sign: signal.Signals = signal.SIGINT) -> None:
        """Signal it and wait for its end."""
        self.process.send_signal(sign)
        self.process.wait(timeout=120)


@pytest.fixture
def environment(folder: DataFolder) -> dict[str, str]:
    """The environment of a person who has set nothing but the data folder."""
    kept = {name: value for name, value in os.environ.items() if "ATTUNE" not in name and "_URL" not in name}
    return {**kept, "ATTUNE_DATA_DIR": str(folder.path)}


@pytest.fixture
def launch(environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Launched]]:
    """Run the launcher with fake services: launch("up", "--port", "8099", FAKE_STUBBORN="beat")."""
    launched: list[Launched] = []

    def start(*arguments: str, **extra: str) -> Launched:
        log = tmp_path / f"launched-{len(launched)}"
        launched.append(Launched([sys.executable, str(FAKE), *arguments], {**environment, **extra}, log))
        return launched[-1]

    yield start
    for each in launched:
        if each.process.poll() is None:
            each.end(signal.SIGTERM)


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
