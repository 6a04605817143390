"""Pausing and going on, across connections."""

from types import SimpleNamespace

import pytest

from attune_project.messaging import consuming as consuming_module
from attune_project.messaging.consuming import Consuming


class Tasks:
    """What a consumer of Celery does with its queues."""

    def __init__(self):
        self.active = {"attune.events.queue"}

    def cancel_by_queue(self, name):
        self.active.discard(name)

    def add_queue(self, queue):
        self.added = queue

    def consume(self):
        self.active.add(self.added)


def consumer():
    return SimpleNamespace(task_consumer=Tasks(), hub=SimpleNamespace(call_soon=lambda run: run()))


@pytest.fixture
def consuming(monkeypatch):
    name = "attune.events.queue"
    monkeypatch.setenv("ATTUNE_SERVICE", "sensor")
    monkeypatch.setattr(
        consuming_module, "current_app", SimpleNamespace(amqp=SimpleNamespace(queues={name: name}))
    )
    return Consuming()


def test_pausing_takes_the_queues_away_and_resuming_gives_them_back(consuming):
    one = consumer()
    consuming.attach(one)
    consuming.pause()
    paused = set(one.task_consumer.active)

    consuming.resume()

    assert paused == set()
    assert one.task_consumer.active == {"attune.events.queue"}


def test_a_new_connection_does_not_end_a_pause(consuming):
    consuming.attach(consumer())
    consuming.pause()
    fresh = consumer()

    consuming.attach(fresh)

    assert fresh.task_consumer.active == set()


def test_a_pause_before_the_first_connection_is_kept(consuming):
    consuming.pause()
    first = consumer()

    consuming.attach(first)

    assert first.task_consumer.active == set()
