"""Celery's consumer, as Attune needs it."""

from typing import Any

import pytest
from kombu import Connection

from attune_project.celery import app
from attune_project.messaging import consumer
from attune_project.messaging.consumer import AttuneConsumer


def test_a_consumer_never_pauses_for_long_between_two_tries(monkeypatch: pytest.MonkeyPatch):
    made = object.__new__(AttuneConsumer)
    made.app, made.first_connection_attempt = app, True
    asked: dict[str, Any] = {}
    monkeypatch.setattr(Connection, "ensure_connection", lambda *_, **options: asked.update(options))

    made.ensure_connected(Connection("memory://"))

    assert asked["interval_max"] == consumer.LONGEST_PAUSE <= 5
