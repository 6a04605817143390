"""What a silent broker may hold up: seconds, never a whole shutdown."""

import socket
from types import SimpleNamespace

import pytest

from attune_project.messaging import broker, consumer


@pytest.fixture
def silent():
    """A connected socket whose other side says nothing."""
    mine, theirs = socket.socketpair()
    yield mine
    mine.close()
    theirs.close()


def test_celery_s_own_connections_have_limits_too(settings):
    settings.BROKER_URL = "amqp://localhost//"

    options = broker.consumer_options()

    assert options["confirm_publish"] is True
    assert (options["read_timeout"], options["write_timeout"]) == (10.0, 10.0)


def test_the_embedded_broker_s_options_stay(settings):
    settings.BROKER_URL = "redis+socket:///tmp/valkey.sock"

    assert broker.consumer_options() == broker.transport_options()


def test_leaving_does_not_wait_for_an_answer_for_ever(silent, monkeypatch):
    monkeypatch.setattr(consumer, "LEAVE_SECONDS", 0.05)
    connection = SimpleNamespace(_connection=SimpleNamespace(_transport=SimpleNamespace(sock=silent)))
    step = consumer.Leave(SimpleNamespace(steps=[]))

    step.close(SimpleNamespace(connection=connection))

    assert silent.gettimeout() == 0.05


def test_every_consumer_leaves_so():
    assert consumer.Leave in consumer.AttuneConsumer.Blueprint.default_steps
