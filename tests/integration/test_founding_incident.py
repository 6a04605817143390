"""The incident that Attune was built after, and its relatives.

Events and enforcements were stored, every service ran without an error, and not one execution was made.
Each way to get there is tried on real servers: it is named by health, by a metric and by an alert, and
nothing that was recorded meanwhile is lost. Each is named within 30 s of its beginning: the incident itself,
alone on the machine, with the timings that operators have; its relatives, several at once, with a shorter
patience for probes.
"""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from kombu import Connection

from attune_project.messaging import topology
from attune_project.messaging.topology import (
    ENFORCEMENT_CREATED,
    EVENT_CREATED,
    EXECUTION_STATUS_CHANGED,
    MessageType,
)
from tests.integration.servers import free_port, fresh_database, fresh_vhost
from tests.integration.spine import SERVICES, Spine, until

pytestmark = [pytest.mark.rabbitmq, pytest.mark.postgres, pytest.mark.timeout(600)]
PATIENCE = 180
NAMED_WITHIN = 30  # seconds: what operators are promised
EVERYWHERE = {"health", "metrics", "alert"}
EVENTS = 10  # one per second


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


# Lived through at the same time, each lane in an Attune of its own.
LANES = (INCIDENTS[1::2], INCIDENTS[2::2])
IMPATIENT = {"ATTUNE_PROBE_LATE_SECONDS": "12"}


@dataclass
class Report:
    """What was seen of an incident."""

    named_by: set[str]
    named_after: float  # seconds from its beginning
    said: dict[str, str]  # the red checks at that time
    accepted: int  # events recorded while it lasted
    completed: int  # executions that ended well
    recovered: bool  # every probe of the message is answered after the repair


def live_through(spine: Spine, incident: Incident) -> Report:
    """Begin an incident under load, look at it, wait for the polls, and repair it."""
    assert until(lambda: is_green(spine, incident), PATIENCE), spine.red()  # what is red can't turn red
    before, since = spine.statuses().get("completed", 0), spine.last_event()
    began = time.monotonic()
    incident.begin(spine)
    load = spine.feed(EVENTS, rate=1)
    until(lambda: named_by(spine, incident, since) == EVERYWHERE, PATIENCE, step=1)
    took = time.monotonic() - began
    named, said = named_by(spine, incident, since), spine.red()
    accepted = int(load.communicate(timeout=240)[0])
    spine.settled()
    completed = spine.statuses().get("completed", 0) - before
    incident.end(spine)
    recovered = until(lambda: is_green(spine, incident), PATIENCE, step=1)
    return Report(named, took, said, accepted, completed, recovered)


def named_by(spine: Spine, incident: Incident, since: int) -> set[str]:
    """Return which of health, metrics and alerts name an incident."""
    status, body = spine.get("/health/detailed")
    red = {name: check for name, check in json.loads(body)["checks"].items() if check["status"] == "red"}
    by = {
        "health": status == 503
        and any(incident.names(f"{name} {one['reason']}") for name, one in red.items()),
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


def live_through_all(folder: Path, incidents: list[Incident], settings: dict[str, str]) -> dict[str, Report]:
    """Live through some incidents, one after another, in an Attune of their own."""
    with fresh_database() as database, fresh_vhost() as broker:
        spine = Spine(database, broker, folder, free_port(), **settings)
        try:
            spine.prepare()
            spine.start(*SERVICES)
            return {incident.name: live_through(spine, incident) for incident in incidents}
        finally:
            spine.drop()


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Report]:
    """Every incident: the one itself, then the others, some at the same time."""
    found = live_through_all(tmp_path_factory.mktemp("attune"), INCIDENTS[:1], {})
    lanes = [(tmp_path_factory.mktemp("attune"), lane, IMPATIENT) for lane in LANES]
    with ThreadPoolExecutor(len(lanes)) as pool:
        for reports in pool.map(lambda lane: live_through_all(*lane), lanes):
            found |= reports
    return found


@pytest.fixture(params=[incident.name for incident in INCIDENTS])
def report(reports: dict[str, Report], request: pytest.FixtureRequest) -> Report:
    return reports[request.param]


def test_it_is_named_by_health_a_metric_and_an_alert(report: Report):
    print(f"named after {report.named_after:.0f} s")
    assert report.named_by == EVERYWHERE, report.said
    assert report.named_after <= NAMED_WITHIN


def test_every_event_meanwhile_ends_in_a_completed_execution(report: Report):
    assert report.accepted == EVENTS
    assert report.completed == EVENTS


def test_health_turns_green_after_the_repair(report: Report):
    assert report.recovered
