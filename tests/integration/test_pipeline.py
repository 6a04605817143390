"""From an event to a finished execution, by real processes on real servers."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from kombu import Connection, Producer

from attune_project.messaging import declare, topology
from tests.integration.conftest import vhost
from tests.integration.servers import free_port, fresh_database, fresh_vhost, live_bindings, rabbitmqctl
from tests.integration.spine import SLOW_POLLS, Spine, quicken_canary, until

pytestmark = [pytest.mark.rabbitmq, pytest.mark.postgres]
SETTINGS = SLOW_POLLS
PIPELINE = ("notifier", "worker", "executor", "sensor")


def queue_depths(spine: Spine) -> dict[str, int]:
    """Ask each queue itself: what rabbitmqctl lists is some seconds old."""
    with Connection(spine.broker_url) as connection, connection.channel() as channel:
        names = [queue for _, _, queue in topology.bindings()]
        return {name: channel.queue_declare(name, passive=True).message_count for name in names}


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[Spine]:
    """An Attune of the test's own without a single service."""
    with fresh_database() as database, fresh_vhost() as broker:
        spine = Spine(database, broker, tmp_path, free_port())
        spine.prepare()
        yield spine


def test_messages_on_the_queues_are_those_that_were_rung(silent: Spine):
    before = queue_depths(silent)

    silent.record(3, batch=1)
    silent.record(500, batch=500)

    after = queue_depths(silent)
    grown = {name: after[name] - before[name] for name in after if after[name] != before[name]}
    assert set(grown) == {"attune.events.queue"}
    assert 2 <= grown["attune.events.queue"] <= 4  # many rows are one message


@pytest.fixture
def without_polls(spine: Spine) -> Spine:
    """The pipeline with nothing but its messages, and with nothing to do."""
    spine.terminate(*(name for name in spine.processes if name not in spine.special))
    spine.start(*(name for name in PIPELINE if name not in spine.processes), ATTUNE_POLLS="false")
    assert spine.settled(), "what an earlier test left on the queues"
    return spine


def test_ten_thousand_events_complete_with_polls_off(without_polls: Spine):
    before, repairs = without_polls.statuses().get("completed", 0), without_polls.repairs()

    assert without_polls.record(10_000) == 10_000

    assert without_polls.settled(timeout=240)
    assert without_polls.statuses() == {"completed": before + 10_000}
    assert without_polls.repairs() == repairs
    assert until(lambda: not any(queue_depths(without_polls).values()), 60), queue_depths(without_polls)


def test_bindings_on_the_broker_are_those_of_the_table(running: Spine):
    names = rabbitmqctl("-q", "list_queues", "-p", vhost(running), "name", "--no-table-headers").split()

    assert live_bindings(rabbitmqctl, vhost(running)) == set(topology.bindings())
    assert set(names) == {queue for _, _, queue in topology.bindings()}


def test_a_timer_runs_its_rule_and_every_check_is_green(running: Spine):
    quicken_canary(running)
    assert until(lambda: running.health()["status"] == "ok", 180, step=1), running.red()
    since, repairs = running.last_event(), running.repairs()

    assert until(lambda: canaries(running) == {"completed"}, 240, step=1)

    assert running.red() == {}
    assert running.repairs() == repairs
    assert running.alerts(since) == []
    assert running.invariants() == ""


def canaries(spine: Spine) -> set[str]:
    rows = spine.sql("SELECT status FROM execution WHERE rule_ref = 'core.canary'")
    return {row[0] for row in rows}


def test_the_live_broker_passes_the_topology_check(running: Spine):
    answer = running.manage("topology", "--check", check=False)

    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_a_rejected_and_an_expired_message_arrive_as_dead_letter_rows(running: Spine):
    with Connection(running.broker_url) as connection, connection.channel() as channel:
        queue = declare.queue("attune.executions", "test.expires", "attune.test.queue")
        queue.queue_arguments["x-message-ttl"] = 100
        queue(channel).declare()
        producer = Producer(channel)
        producer.publish({"n": 1}, exchange="attune.executions", routing_key="test.expires")
        producer.publish(
            {"n": 2},
            exchange="attune.executions",
            routing_key="enforcement.created",
            headers={"task": "attune.nonsense", "id": "x"},
        )
        arrived = until(lambda: running.one("SELECT count(DISTINCT reason) FROM dead_letter") == 2, 120)
        empty = until(lambda: queue_depths(running)[topology.DEAD_LETTER_QUEUE] == 0, 60)
        queue(channel).delete()

    rows = running.sql("SELECT reason, routing_key FROM dead_letter ORDER BY reason")
    running.sql("UPDATE dead_letter SET requeued_at = now()")  # as a person would who has looked at them
    assert rows == [("expired", "test.expires"), ("unknown_task", "enforcement.created")]
    assert arrived
    assert empty
