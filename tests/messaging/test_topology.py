"""The table of messages is whole, and everything is made from it."""

from pathlib import Path

import pytest

from attune_project.celery import app
from attune_project.messaging import checks, declare, drawing, steps, topology

ROOT = Path(__file__).resolve().parents[2]


def test_enforcements_belong_to_the_life_of_executions():
    message = topology.ENFORCEMENT_CREATED

    assert (message.exchange, message.routing_key) == ("attune.executions", "enforcement.created")
    assert message.queue == "attune.executions.queue"
    assert message.consumer == "executor"


@pytest.mark.parametrize("message", topology.MESSAGE_TYPES, ids=lambda message: message.name)
def test_every_message_type_has_its_own_queue_and_someone_who_does_its_step(message):
    others = [other.queue for other in topology.MESSAGE_TYPES if other is not message]

    assert message.queue not in others
    assert steps.hint_of(message) if message.hint else steps.of_message(message)


def test_task_names_and_arguments_follow_the_contract():
    names = {message.task: message.argument for message in topology.MESSAGE_TYPES}

    assert names == {
        "attune.event_created": "event_ids",
        "attune.enforcement_created": "enforcement_ids",
        "attune.execution_requested": "execution_ids",
        "attune.execution_status_changed": "execution_ids",
        "attune.execution_completed": "execution_ids",
    }


def test_a_pool_has_a_key_and_a_queue_of_its_own():
    routes = {(route.routing_key, route.queue) for route in topology.routes(("gpu",))}

    assert ("execution.requested.gpu", "attune.execution.requests.gpu.queue") in routes
    assert ("enforcement.created.gpu", "attune.executions.gpu.queue") not in routes


def test_every_queue_but_the_dead_letters_dead_letters_to_a_topic_exchange():
    for queue in declare.queues():
        if queue.name == topology.DEAD_LETTER_QUEUE:
            assert "x-dead-letter-exchange" not in queue.queue_arguments
        else:
            assert queue.queue_arguments["x-dead-letter-exchange"] == "attune.dlx"
            assert queue.queue_arguments["x-delivery-limit"] == 5
        assert queue.exchange.type == "topic"
        assert queue.exchange.durable


def test_celery_routes_and_queues_are_those_of_the_table():
    queues = {(q.exchange.name, q.routing_key, q.name) for q in app.conf.task_queues}

    assert queues == set(topology.bindings())
    assert set(app.conf.task_routes) == {message.task for message in topology.MESSAGE_TYPES}
    assert app.conf.task_create_missing_queues is False


def test_celery_keeps_database_connections_over_tasks():
    assert app.conf.get("CELERY_DB_REUSE_MAX") == 10**9


def test_a_message_type_without_a_step_is_a_system_check_error(monkeypatch):
    monkeypatch.setattr(steps, "_steps", {})

    found = [error.msg for error in checks.check_steps()]

    assert "No step is registered for the message EnforcementCreated." in found


def test_a_message_type_for_a_service_that_does_not_exist_is_a_system_check_error(monkeypatch):
    typo = topology.MessageType(
        name="Typo", exchange="attune.events", routing_key="typo", queue="typo.queue",
        noun="event", app="rules", publishers=("web",), consumer="exeutor",
    )  # fmt: skip
    monkeypatch.setattr(topology, "MESSAGE_TYPES", (*topology.MESSAGE_TYPES, typo))

    assert [error.id for error in checks.check_topology()] == ["attune.E002"]


def test_the_document_is_generated_from_the_table():
    document = (ROOT / "docs" / "topology.md").read_text()

    assert document == drawing.document(), "run: ./attune manage topology --markdown > docs/topology.md"


def test_the_table_and_the_diagram_name_the_founding_message():
    assert "attune.executions.queue" in drawing.table()
    assert (
        "sensor([sensor]) -->|enforcement.created| attune_executions{{attune.executions}}"
        in drawing.mermaid()
    )
