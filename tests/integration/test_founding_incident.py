"""The incident that Attune was built after, and its relatives.

Events and enforcements were stored, every service ran without an error, and not one execution was made.
Each way to get there is tried on real servers with the timings that operators have: within 30 s it is
named by health, by a metric and by an alert, and nothing that was recorded meanwhile is lost.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from kombu import Connection

from attune_project.messaging import topology
from attune_project.messaging.topology import (
    ENFORCEMENT_CREATED,
    EVENT_CREATED,
    EXECUTION_STATUS_CHANGED,
    MessageType,
)
from tests.integration.spine import Spine, until

pytestmark = [pytest.mark.rabbitmq, pytest.mark.postgres]
NAMED_WITHIN = 30


@dataclass(frozen=True)
class Incident:
    """Something that breaks the way of a message, and its repair."""

    name: str
    begin: Callable[[Spine], None]
    end: Callable[[Spine], None]
    message: MessageType = ENFORCEMENT_CREATED

    def names(self, text: str) -> bool:
        """Return whether a text names the message or its routing key."""
        return self.message.name in text or self.message.routing_key in text


def broken(service: str, sabotage: str) -> Callable[[Spine], None]:
    return lambda spine: spine.restart(service, sabotage)


def repaired(service: str) -> Callable[[Spine], None]:
    return lambda spine: spine.restart(service)


def to_a_queue_whose_reader_does_not_understand(spine: Spine) -> None:
    """Bind the wrong exchange, so that confirms and `mandatory` are content: the incident itself."""
    with Connection(spine.broker_url) as connection, connection.channel() as channel:
        channel.queue_bind(EVENT_CREATED.queue, topology.EVENTS.name, ENFORCEMENT_CREATED.routing_key)
    spine.restart("sensor", "wrong-exchange")


def back_on_the_right_exchange(spine: Spine) -> None:
    with Connection(spine.broker_url) as connection, connection.channel() as channel:
        channel.queue_unbind(EVENT_CREATED.queue, topology.EVENTS.name, ENFORCEMENT_CREATED.routing_key)
    spine.restart("sensor")


def unbind(spine: Spine) -> None:
    with Connection(spine.broker_url) as connection, connection.channel() as channel:
        channel.queue_unbind(
            ENFORCEMENT_CREATED.queue, ENFORCEMENT_CREATED.exchange, ENFORCEMENT_CREATED.routing_key
        )


def declare(spine: Spine) -> None:
    spine.manage("topology", "--declare")


INCIDENTS = [
    Incident("the incident itself", to_a_queue_whose_reader_does_not_understand, back_on_the_right_exchange),
    Incident("wrong exchange", broken("sensor", "wrong-exchange"), repaired("sensor")),
    Incident("queue unbound", unbind, declare),
    Incident("executor not consuming", broken("executor", "not-consuming"), repaired("executor")),
    Incident("task renamed", broken("executor", "renamed-task"), repaired("executor")),
    Incident(
        "type without a consumer",
        lambda spine: spine.terminate("notifier"),
        lambda spine: spine.start("notifier"),
        EXECUTION_STATUS_CHANGED,
    ),
]


def named_by(spine: Spine, incident: Incident, since: int) -> set[str]:
    """Return which of health, metrics and alerts name an incident."""
    status, body = spine.get("/health/detailed")
    red = {name: check for name, check in json.loads(body)["checks"].items() if check["status"] == "red"}
    by = {
        "health": status == 503
        and any(incident.names(name + check["reason"]) for name, check in red.items()),
        "metrics": any(incident.names(name) for name in spine.red_metrics()),
        "alert": any(incident.names(alert) for alert in spine.alerts(after=since)),
    }
    return {name for name, does in by.items() if does}


def is_green(spine: Spine, incident: Incident) -> bool:
    """Return whether every probe on the way of an incident's message is answered."""
    checks = spine.health()["checks"]
    probes = [
        check for name, check in checks.items() if name.startswith(f"probe:{incident.message.routing_key}")
    ]
    return bool(probes) and all(check["status"] == "ok" for check in probes)


@pytest.mark.parametrize("incident", INCIDENTS, ids=lambda incident: incident.name)
def test_an_incident_is_named_and_loses_nothing(running: Spine, incident: Incident):
    assert until(lambda: is_green(running, incident), 45), running.red()
    before = running.statuses().get("completed", 0)
    since = running.last_event()

    incident.begin(running)
    load = running.feed(15, rate=1)
    everywhere = until(
        lambda: named_by(running, incident, since) == {"health", "metrics", "alert"}, NAMED_WITHIN, step=1
    )

    assert everywhere, (named_by(running, incident, since), running.red(), running.alerts(since))
    assert int(load.communicate(timeout=60)[0]) == 15
    assert running.settled()
    assert running.statuses() == {"completed": before + 15}
    incident.end(running)
    assert until(lambda: is_green(running, incident), 45, step=1), running.red()
