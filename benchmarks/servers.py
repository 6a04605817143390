"""A scratch database and a place on a broker, on the servers that the benchmark was given."""

import os
import shlex
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import httpx
import psycopg
from amqp.exceptions import NotFound
from kombu import Connection
from psycopg import sql

from benchmarks.errors import BenchmarkError

RABBITMQCTL = ("ATTUNE_BENCH_RABBITMQCTL", "ATTUNE_TEST_RABBITMQCTL")
NO_VHOST = (
    "the broker's virtual host {vhost!r} is in use, and none can be made: AMQP can't. Name a command in"
    " ATTUNE_BENCH_RABBITMQCTL (`rabbitmqctl`), or the management API in ATTUNE_RABBITMQ_MANAGEMENT_URL,"
    " or an empty virtual host in ATTUNE_BENCH_BROKER_URL."
)


class Server:
    """The PostgreSQL of ATTUNE_BENCH_DATABASE_URL: its database is only the way in, and stays untouched."""

    def __init__(self, url: str) -> None:
        self.url = url

    @contextmanager
    def database(self, template: str | None = None) -> Iterator[str]:
        """Yield the address of a new database, perhaps a copy of another; drop it afterwards."""
        name = f"attune_bench_{uuid.uuid4().hex[:10]}"
        copied = (
            sql.SQL(" TEMPLATE {}").format(sql.Identifier(name_of(template))) if template else sql.SQL("")
        )
        self._do(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)) + copied)
        try:
            yield urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))
        finally:
            self._drop(name)

    def _drop(self, name: str) -> None:
        # WITH (FORCE) ends autovacuum too, which only a superuser may; a plain drop asks it to leave.
        self._do(
            sql.SQL(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = {} AND usename = current_user"
            ).format(sql.Literal(name))
        )
        self._do(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))

    def _do(self, statement: sql.Composed) -> None:
        try:
            with psycopg.connect(self.url, autocommit=True) as connection:
                connection.execute(statement)
        except psycopg.errors.InsufficientPrivilege as refused:
            raise BenchmarkError(
                f"{refused}: the user of ATTUNE_BENCH_DATABASE_URL needs CREATEDB."
            ) from None
        except psycopg.OperationalError as problem:
            raise BenchmarkError(f"ATTUNE_BENCH_DATABASE_URL: {problem}") from None


def name_of(url: str) -> str:
    return urlsplit(url).path[1:]


@contextmanager
def broker_place(url: str) -> Iterator[str]:
    """Yield the address of an empty place on a broker, and leave the broker as it was."""
    way = _redis_database if url.startswith("redis") else _vhost
    with way(url) as place:
        yield place


@contextmanager
def _redis_database(url: str) -> Iterator[str]:
    """Use the database that was named, if it is empty; empty it again."""
    with Connection(url) as connection:
        channel: Any = connection.channel()
        client = channel.client
        if client.dbsize():
            raise BenchmarkError("ATTUNE_BENCH_BROKER_URL names a redis database that isn't empty.")
        try:
            yield url
        finally:
            client.flushdb()


@contextmanager
def _vhost(url: str) -> Iterator[str]:
    server = urlsplit(url)
    name = f"attune-bench-{uuid.uuid4().hex[:10]}"
    control = _control(server.username or "guest")
    if control is None:
        with _given_vhost(url) as place:
            yield place
        return
    make, remove = control
    make(name)
    try:
        yield urlunsplit(server._replace(path=f"/{name}"))
    finally:
        remove(name)


Change = Callable[[str], None]


def _control(user: str) -> tuple[Change, Change] | None:
    """Return how virtual hosts are made and removed here, or None."""
    command = next((os.environ[name] for name in RABBITMQCTL if os.environ.get(name)), "")
    if command:
        return _by_command(shlex.split(command), user)
    if address := os.environ.get("ATTUNE_RABBITMQ_MANAGEMENT_URL"):
        return _by_management(address, user)
    return None


def _by_command(command: list[str], user: str) -> tuple[Change, Change]:
    def run(*arguments: str) -> None:
        done = subprocess.run(
            [*command, *arguments], capture_output=True, text=True, check=False, timeout=120
        )
        if done.returncode:
            raise BenchmarkError(f"{command[-1]} {' '.join(arguments)}: {done.stderr or done.stdout}")

    def make(name: str) -> None:
        run("add_vhost", name)
        run("set_permissions", "-p", name, user, ".*", ".*", ".*")

    return make, lambda name: run("delete_vhost", name)


def _by_management(address: str, user: str) -> tuple[Change, Change]:
    def put(path: str, body: dict[str, str]) -> None:
        httpx.put(f"{address.rstrip('/')}/api/{path}", json=body, timeout=30).raise_for_status()

    def make(name: str) -> None:
        put(f"vhosts/{quote(name, safe='')}", {})
        rights = {"configure": ".*", "write": ".*", "read": ".*"}
        put(f"permissions/{quote(name, safe='')}/{quote(user, safe='')}", rights)

    def remove(name: str) -> None:
        httpx.delete(
            f"{address.rstrip('/')}/api/vhosts/{quote(name, safe='')}", timeout=60
        ).raise_for_status()

    return make, remove


@contextmanager
def _given_vhost(url: str) -> Iterator[str]:
    """Use the virtual host that was named, if nothing of Attune is in it; remove what was declared."""
    with Connection(url, connect_timeout=5) as connection:
        found = [name for name in _queues() if _declared(connection, name)]
        if found:
            raise BenchmarkError(NO_VHOST.format(vhost=urlsplit(url).path[1:] or "/"))
    try:
        yield url
    finally:
        with Connection(url, connect_timeout=5) as connection:
            _remove_all(connection)


def _queues() -> list[str]:
    from attune_project.messaging import topology
    from benchmarks.baseline import QUEUE

    return [*(message.queue for message in topology.MESSAGE_TYPES), topology.DEAD_LETTER_QUEUE, QUEUE]


def _declared(connection: Connection, queue: str) -> bool:
    channel: Any = connection.channel()
    try:
        channel.queue_declare(queue, passive=True)
    except NotFound:
        return False
    return True


def _remove_all(connection: Connection) -> None:
    from attune_project.messaging import topology

    channel: Any = connection.channel()
    for queue in _queues():
        with suppress(NotFound):
            channel.queue_delete(queue)
    for exchange in topology.EXCHANGES:
        with suppress(NotFound):
            channel.exchange_delete(exchange.name)
