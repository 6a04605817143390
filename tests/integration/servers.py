"""Servers of a test's own: a fresh database, a fresh virtual host, a Valkey, a whole RabbitMQ."""

import atexit
import os
import random
import shlex
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from attune_project.embedded.valkey import Valkey
from tests.integration.spine import ROOT, Spine, until


def rabbitmqctl(*arguments: str) -> str:
    """Run rabbitmqctl against the test broker."""
    return Control(os.environ["ATTUNE_TEST_RABBITMQCTL"])(*arguments)


@dataclass(frozen=True)
class Control:
    """`rabbitmqctl` of one node."""

    command: str

    def __call__(self, *arguments: str) -> str:
        command = [*shlex.split(self.command), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=240).stdout


def live_bindings(control: Callable[..., str], vhost: str) -> set[tuple[str, ...]]:
    """Return every binding to an exchange of Attune, as (exchange, routing key, queue)."""
    lines = control(
        "-q", "list_bindings", "-p", vhost, "source_name", "routing_key", "destination_name",
        "--no-table-headers",
    ).splitlines()  # fmt: skip
    return {tuple(line.split("\t")) for line in lines if line.startswith("attune.")}


# The kernel takes higher ones for connections: a server that restarts might find its own taken by one.
PORTS = range(20_000, 32_000)


def free_port() -> int:
    """Return a port for a server; any that runs beside these tests (the other half of CI) picks its own."""
    chance = random.SystemRandom()  # those of tests begin alike in every process
    while True:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", chance.choice(PORTS)))
            return int(probe.getsockname()[1])


@contextmanager
def fresh_database() -> Iterator[str]:
    """Yield the address of a database on the full PostgreSQL with the core pack and a pack for tests."""
    name = f"spine_{uuid.uuid4().hex[:10]}"
    on_server(f"CREATE DATABASE {name} TEMPLATE {template()}")
    try:
        yield database_address(name)
    finally:
        on_server(f"DROP DATABASE {name} WITH (FORCE)")


@cache
def template() -> str:
    """Return the name of a database that others are copied from; to migrate and load takes seconds."""
    name = f"spine_template_{uuid.uuid4().hex[:10]}"
    on_server(f"CREATE DATABASE {name}")
    atexit.register(on_server, f"DROP DATABASE {name} WITH (FORCE)")
    spine = Spine(database_address(name), "memory://", Path(tempfile.gettempdir()), 0)
    spine.manage("migrate", "-v", "0")
    for pack in ("attune_project/packs/core", "tests/integration/pack"):
        spine.manage("load_pack", pack)
    return name


def on_server(statement: str) -> None:
    with psycopg.connect(os.environ["ATTUNE_TEST_DATABASE_URL"], autocommit=True) as connection:
        connection.execute(statement)  # type: ignore[arg-type]


def database_address(name: str) -> str:
    return urlunsplit(urlsplit(os.environ["ATTUNE_TEST_DATABASE_URL"])._replace(path=f"/{name}"))


@contextmanager
def fresh_vhost() -> Iterator[str]:
    """Yield the address of an empty virtual host on the real RabbitMQ."""
    server = urlsplit(os.environ["ATTUNE_TEST_BROKER_URL"])
    name = f"spine-{uuid.uuid4().hex[:10]}"
    rabbitmqctl("add_vhost", name)
    rabbitmqctl("set_permissions", "-p", name, server.username or "guest", ".*", ".*", ".*")
    try:
        yield urlunsplit(server._replace(path=f"/{name}"))
    finally:
        rabbitmqctl("delete_vhost", name)


@contextmanager
def fresh_valkey() -> Iterator[str]:
    """Yield the address of the embedded broker, on a socket of its own."""
    folder = Path(tempfile.mkdtemp(prefix="valkey-"))  # pytest's folders are too long for a socket
    valkey = Valkey(folder / "data", folder)
    program = valkey.program()
    valkey.prepare()
    process = subprocess.Popen(program.argv, env=program.env, cwd=program.cwd)
    try:
        assert until(valkey.ready, 90, step=0.05)
        yield valkey.url
    finally:
        process.terminate()
        process.wait(timeout=60)
        shutil.rmtree(folder)


@dataclass(frozen=True)
class Node:
    """A RabbitMQ that a test may stop and wipe."""

    url: str
    control: Control


@contextmanager
def own_rabbitmq(folder: Path) -> Iterator[Node]:
    """Start a RabbitMQ that nobody else uses, in the way of CI."""
    exports = folder / "services.sh"
    with (folder / "services.log").open("wb") as log:
        process = subprocess.Popen([ROOT / ".ci" / "services", exports], stdout=log, stderr=log)
    try:
        assert until(lambda: exports.exists() or process.poll() is not None, 240, step=0.2)
        assert exports.exists(), (folder / "services.log").read_text()
        yield _node(exports.read_text())
    finally:
        process.terminate()
        process.wait(timeout=60)


def _node(exports: str) -> Node:
    values = dict(
        shlex.split(line)[1].split("=", 1) for line in exports.splitlines() if line.startswith("export ")
    )
    return Node(values["ATTUNE_TEST_BROKER_URL"], Control(values["ATTUNE_TEST_RABBITMQCTL"]))
