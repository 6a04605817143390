"""Where the benchmark works, and that it leaves nothing there."""

import os
from collections.abc import Iterator

import psycopg
import pytest
from kombu import Connection

from benchmarks.errors import BenchmarkError
from benchmarks.servers import RABBITMQCTL, Server, broker_place, name_of
from tests.integration.servers import fresh_valkey, fresh_vhost, rabbitmqctl

QUEUE = "attune.events.queue"


def databases(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        return {row[0] for row in connection.execute("SELECT datname FROM pg_database")}


def declare(url: str) -> None:
    with Connection(url) as connection:
        connection.channel().queue_declare(QUEUE)


def is_declared(url: str) -> bool:
    with Connection(url) as connection:
        try:
            connection.channel().queue_declare(QUEUE, passive=True)
        except connection.channel_errors:
            return False
    return True


@pytest.mark.postgres
def test_a_database_is_dropped_whatever_is_connected_to_it() -> None:
    server = Server(os.environ["ATTUNE_TEST_DATABASE_URL"])

    with server.database() as first:
        connected = psycopg.connect(first)
        with server.database() as other:
            assert {name_of(first), name_of(other)} <= databases(server.url)

    assert not {name_of(first), name_of(other)} & databases(server.url)
    connected.close()


@pytest.mark.postgres
def test_a_database_is_a_copy_of_its_template() -> None:
    server = Server(os.environ["ATTUNE_TEST_DATABASE_URL"])

    with server.database() as first:
        with psycopg.connect(first) as connection:
            connection.execute("CREATE TABLE thing AS SELECT 7 AS n")
        with server.database(template=first) as copy, psycopg.connect(copy) as connection:
            assert connection.execute("SELECT n FROM thing").fetchall() == [(7,)]


def test_a_server_that_is_not_there_is_said_in_words() -> None:
    nowhere = Server("postgresql://attune@127.0.0.1:1/attune")

    with pytest.raises(BenchmarkError, match="ATTUNE_BENCH_DATABASE_URL"), nowhere.database():
        pass


@pytest.mark.rabbitmq
def test_a_virtual_host_is_made_and_removed() -> None:
    given = os.environ["ATTUNE_TEST_BROKER_URL"]

    with broker_place(given) as place:
        assert place != given
        declare(place)

    assert name_of(place) not in rabbitmqctl("-q", "list_vhosts", "name").split()


@pytest.mark.rabbitmq
class TestWithoutAWayToMakeOne:
    @pytest.fixture
    def given(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
        with fresh_vhost() as url, monkeypatch.context() as patched:
            for name in (*RABBITMQCTL, "ATTUNE_RABBITMQ_MANAGEMENT_URL"):
                patched.delenv(name, raising=False)
            yield url

    def test_an_empty_one_is_used_and_left_empty(self, given: str) -> None:
        with broker_place(given) as place:
            assert place == given
            declare(place)

        assert not is_declared(given)

    def test_one_in_use_is_refused_and_left_alone(self, given: str) -> None:
        declare(given)

        with pytest.raises(BenchmarkError, match="is in use, and none can be made"), broker_place(given):
            pass

        assert is_declared(given)


def test_an_empty_redis_database_is_used_and_left_empty() -> None:
    with fresh_valkey() as url:
        with broker_place(url) as place:
            assert place == url
            declare(place)
            with Connection(url) as connection:
                connection.channel().client.set("something", 1)
        with Connection(url) as connection:
            assert connection.channel().client.dbsize() == 0


def test_a_redis_database_in_use_is_refused_and_left_alone() -> None:
    with fresh_valkey() as url:
        with Connection(url) as connection:
            connection.channel().client.set("something", 1)

        with pytest.raises(BenchmarkError, match="isn't empty"), broker_place(url):
            pass

        with Connection(url) as connection:
            assert connection.channel().client.dbsize() == 1
