"""The broker: there, away for a moment, away for long."""

from types import SimpleNamespace

import pytest

from attune_project.console import broker_state
from attune_project.console.bounded import Bounded
from attune_project.console.broker_state import BrokerState, QueueState, Watch, broker_reachable, look
from attune_project.messaging import broker, declare

NOWHERE = "amqp://guest:guest@127.0.0.1:1//"


@pytest.fixture
def watch(monkeypatch):
    watch = Watch()
    monkeypatch.setattr(broker_state, "watch", watch)
    return watch


def test_queues_that_exist_say_depth_and_consumers():
    with broker.connect() as connection:
        declare.declare_all(connection)

    state = look()

    assert state.error is None
    assert state.queues["attune.executions.queue"] == QueueState(0, 0)


def test_a_broker_that_answers_is_green(watch):
    assert [(one.name, one.ok, one.reason) for one in broker_reachable()] == [("broker", True, None)]


def test_a_short_outage_is_forgiven(watch, settings):
    settings.BROKER_URL = NOWHERE

    (found,) = broker_reachable()

    assert found.ok
    assert found.reason.startswith("The broker can't be reached just now: ")


def test_a_long_outage_says_what_to_look_at(watch, settings, monkeypatch):
    settings.BROKER_URL = NOWHERE
    monkeypatch.setattr(watch, "away_for", lambda: 6.0)

    (found,) = broker_reachable()

    assert not found.ok
    assert "check BROKER_URL" in found.reason


def test_time_away_is_counted_from_the_first_failure(watch, monkeypatch):
    def fail():
        raise ConnectionRefusedError("refused")

    clock = iter([100.0, 107.0])
    monkeypatch.setattr(watch, "_bounded", Bounded(fail, keep=0, patience=60))
    monkeypatch.setattr(broker_state, "time", SimpleNamespace(monotonic=lambda: next(clock)))

    assert watch.state() == BrokerState("ConnectionRefusedError: refused")
    assert watch.away_for() == 7.0


def test_coming_back_ends_the_outage(watch):
    watch._away_since = 1.0

    watch.state()

    assert watch.away_for() == 0.0
