"""Real servers: a fresh database and a fresh virtual host for each module."""

import os
import shlex
import socket
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from tests.integration.spine import SERVICES, Spine


def rabbitmqctl(*arguments: str) -> str:
    """Run rabbitmqctl against the test broker."""
    command = [*shlex.split(os.environ["ATTUNE_TEST_RABBITMQCTL"]), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=90).stdout


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def database_url() -> Iterator[str]:
    """A database of this module's own on the full PostgreSQL."""
    server = os.environ["ATTUNE_TEST_DATABASE_URL"]
    name = f"spine_{uuid.uuid4().hex[:10]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
    yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def broker_url() -> Iterator[str]:
    """A virtual host of this module's own on the real RabbitMQ."""
    server = urlsplit(os.environ["ATTUNE_TEST_BROKER_URL"])
    name = f"spine-{uuid.uuid4().hex[:10]}"
    rabbitmqctl("add_vhost", name)
    rabbitmqctl("set_permissions", "-p", name, server.username or "guest", ".*", ".*", ".*")
    yield urlunsplit(server._replace(path=f"/{name}"))
    rabbitmqctl("delete_vhost", name)


@pytest.fixture(scope="module")
def spine(database_url: str, broker_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spine]:
    """A prepared Attune, nothing started yet."""
    folder: Path = tmp_path_factory.mktemp("spine")
    made = Spine(database_url, broker_url, folder, free_port())
    made.prepare()
    yield made
    made.stop()


@pytest.fixture
def running(spine: Spine) -> Spine:
    """The same with every service running."""
    missing = [
        name for name in SERVICES if name not in spine.processes or spine.processes[name].poll() is not None
    ]
    spine.start(*missing)
    return spine


def vhost(spine: Spine) -> str:
    return urlsplit(spine.broker_url).path[1:]
