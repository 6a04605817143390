import os
import signal
import subprocess
from collections.abc import Iterator

import pytest
import redis

from attune_project.embedded.folder import DataFolder
from attune_project.embedded.processes import Identity, wait_until
from attune_project.embedded.supervisor import Supervisor
from attune_project.embedded.valkey import Valkey
from tests.embedded.conftest import turn_until


@pytest.fixture
def valkey(folder: DataFolder) -> Valkey:
    sockets = folder.path / "sockets"
    sockets.mkdir(mode=0o700)
    return Valkey(folder.path / "valkey", sockets)


@pytest.fixture
def client(valkey: Valkey) -> Iterator[redis.Redis]:
    with redis.Redis(unix_socket_path=str(valkey.socket)) as client:
        yield client


def test_it_listens_on_its_socket_alone(supervisor: Supervisor, valkey: Valkey, client: redis.Redis) -> None:
    supervisor.start([valkey.program()])

    assert client.config_get("port") == {"port": "0"}
    assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert valkey.url == f"redis+socket://{valkey.socket}"


def test_what_was_queued_survives_a_kill(supervisor: Supervisor, valkey: Valkey, client: redis.Redis) -> None:
    supervisor.start([valkey.program()])
    first = supervisor.children[0].identity.pid
    client.rpush("queue", *range(200))
    client.execute_command("WAITAOF", 1, 0, 2000)

    os.kill(first, signal.SIGKILL)
    turn_until(supervisor, lambda: supervisor.children[0].identity.pid != first and valkey.ready())

    assert client.llen("queue") == 200


def test_a_new_start_ends_the_orphan_of_a_killed_launcher(supervisor: Supervisor, valkey: Valkey) -> None:
    valkey.prepare()
    process = subprocess.Popen(valkey.program().argv, stdout=subprocess.DEVNULL)
    orphan = Identity.of(process.pid)
    assert wait_until(valkey.ready, seconds=90)

    supervisor.start([valkey.program()])

    assert not orphan.alive()
    assert valkey.ready()
    process.wait()


def test_it_is_not_ready_before_it_runs(valkey: Valkey) -> None:
    assert not valkey.ready()
