"""From an event to a finished execution, by real processes on real servers."""

import pytest

from attune_project.messaging import topology
from tests.integration.conftest import rabbitmqctl, vhost
from tests.integration.spine import Spine, until

pytestmark = [pytest.mark.rabbitmq, pytest.mark.postgres]


def queue_depths(spine: Spine) -> dict[str, int]:
    lines = rabbitmqctl("-q", "list_queues", "-p", vhost(spine), "name", "messages", "--no-table-headers")
    return {
        name: int(count) for name, count in (line.split("\t") for line in lines.splitlines() if "\t" in line)
    }


def test_messages_on_the_queues_are_those_that_were_rung(spine: Spine):
    spine.stop()
    before = queue_depths(spine)

    spine.record(3, batch=1)
    spine.record(500, batch=500)

    after = queue_depths(spine)
    grown = {name: after[name] - before[name] for name in after if after[name] != before[name]}
    assert set(grown) == {"attune.events.queue"}
    assert 2 <= grown["attune.events.queue"] <= 4  # many rows are one message


def test_a_backlog_completes_without_a_repair(spine: Spine):
    spine.start("notifier", "worker", "executor", "sensor", ATTUNE_POLLS="false")

    assert spine.record(1000) == 1000

    assert spine.settled()
    assert spine.statuses() == {"completed": 1503}
    assert spine.repairs() == 0
    assert all(depth == 0 for name, depth in queue_depths(spine).items() if name.startswith("attune"))


def test_ten_thousand_events_complete_with_polls_off(spine: Spine):
    before = spine.statuses().get("completed", 0)

    assert spine.record(10_000) == 10_000

    assert spine.settled(timeout=90)
    assert spine.statuses() == {"completed": before + 10_000}
    spine.stop()


def test_bindings_on_the_broker_are_those_of_the_table(running: Spine):
    lines = rabbitmqctl(
        "-q", "list_bindings", "-p", vhost(running), "source_name", "routing_key", "destination_name",
        "--no-table-headers",
    ).splitlines()  # fmt: skip
    live = {tuple(line.split("\t")) for line in lines if line.startswith("attune.")}

    assert live == set(topology.bindings())
    names = {line.split("\t")[2] for line in lines if "\t" in line}
    assert not [name for name in names if name.startswith("celery_delayed")]


def test_a_timer_runs_its_rule_and_every_check_is_green(running: Spine):
    assert until(lambda: running.one("SELECT count(*) FROM execution WHERE rule_ref = 'core.canary'") > 0, 75)
    assert until(lambda: running.health()["status"] == "ok", 30), running.red()
    assert running.repairs() == 0
    assert running.alerts() == []
    assert running.invariants() == ""


def test_the_live_broker_passes_the_topology_check(running: Spine):
    answer = running.manage("topology", "--check", check=False)

    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_a_rejected_and_an_expired_message_arrive_as_dead_letter_rows(running: Spine):
    from kombu import Connection, Producer

    from attune_project.messaging import declare

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
        arrived = until(lambda: running.one("SELECT count(*) FROM dead_letter") >= 2, 20)
        queue(channel).delete()

    assert arrived
    rows = dict(running.sql("SELECT reason, routing_key FROM dead_letter"))
    assert rows == {"expired": "test.expires", "rejected": "enforcement.created"}
