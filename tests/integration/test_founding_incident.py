"""The incident that Attune was built after, and its relatives.

Events and enforcements were stored, every service ran without an error, and not one execution was made.
Each way to get there is tried on real servers: it is named by health, by a metric and by an alert, and
nothing that was recorded meanwhile is lost. Each is named within 30 s of its beginning, with the timings that
operators have: the incident itself alone on the machine, its relatives two at once.

An incident begins when what breaks it is in its place: a binding is gone, a service has ended, or the broken
one is ready. How long a machine takes to end an interpreter and to start another is not the product's. It
befalls a product that has run for a while and is well: nobody is accused just after a start, and what an
earlier incident did may still be red for a minute, which would name the next one too early, or keep its alert
back, for red checks of one cause are one alert. So that minute is let pass.
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

pytestmark = [pytest.mark.rabbitmq, pytest.mark.postgres, pytest.mark.timeout(900)]
PATIENCE = 180
NAMED_WITHIN = 30  # seconds: what operators are promised
EVERYWHERE = {"health", "metrics", "alert"}
EVENTS = 10  # one per second
CANARY = "canary"  # it sings once a minute, and has tests of its own: here it may not help


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
LONG_AGO = (
    "UPDATE step SET repaired_at = repaired_at - interval '1 hour'",
    "UPDATE message_count SET updated = updated - interval '1 hour'",
)


@dataclass
class Report:
    """What was seen of an incident."""

    named_after: dict[str, float]  # seconds from its beginning, by each that names it
    said: dict[str, str]  # the red checks at that time
    accepted: int  # events recorded while it lasted
    completed: int  # executions that ended well
    recovered: bool  # every probe of the message is answered after the repair


def live_through(spine: Spine, incident: Incident) -> Report:
    """Begin an incident under load, look at it, wait for the polls, and repair it."""
    for statement in LONG_AGO:
        spine.sql(statement)
    assert until(lambda: is_over(spine, incident), PATIENCE), spine.red()  # what is red can't turn red
    before, since = spine.statuses().get("completed", 0), spine.last_event()
    incident.begin(spine)
    began = time.monotonic()
    load = spine.feed(EVENTS, rate=1)
    after: dict[str, float] = {}

    def is_named() -> bool:
        for name in named_by(spine, incident, since):
            after.setdefault(name, time.monotonic() - began)
        return after.keys() == EVERYWHERE

    until(is_named, PATIENCE, step=0.5)
    said = spine.red()
    accepted = int(load.communicate(timeout=240)[0])
    spine.settled()
    completed = spine.statuses().get("completed", 0) - before
    incident.end(spine)
    recovered = until(lambda: is_green(spine, incident), PATIENCE, step=1)
    return Report(after, said, accepted, completed, recovered)


def named_by(spine: Spine, incident: Incident, since: int) -> set[str]:
    """Return which of health, metrics and alerts name an incident."""
    status, body = spine.get("/health/detailed")
    checks = json.loads(body)["checks"].items() if body.startswith("{") else ()
    red = {name: check for name, check in checks if check["status"] == "red" and name != CANARY}
    by = {
        "health": status == 503
        and any(incident.names(f"{name} {one['reason']}") for name, one in red.items()),
        "metrics": any(incident.names(name) for name in spine.red_metrics()),
        "alert": any(incident.names(alert) for alert in spine.alerts(after=since) if begins(alert)),
    }
    return {name for name, does in by.items() if does}


def begins(alert: str) -> bool:
    """Return whether an alert tells of the begin of something."""
    return " is red: " in alert and not alert.startswith(CANARY)


def is_over(spine: Spine, incident: Incident) -> bool:
    """Return whether its way is well, nothing names it, and somebody watches who has told of all before."""
    watched = spine.one("SELECT count(*) FROM step WHERE name = 'alerts'")
    told = spine.one("SELECT count(*) FROM health_check WHERE status = 'red' AND name <> %s", CANARY)
    return bool(
        watched
        and not told
        and is_green(spine, incident)
        and not named_by(spine, incident, spine.last_event())
    )


def is_green(spine: Spine, incident: Incident) -> bool:
    """Return whether every probe on the way of an incident's message is answered."""
    checks = spine.health()["checks"]
    probes = [
        check for name, check in checks.items() if name.startswith(f"probe:{incident.message.routing_key}")
    ]
    return bool(probes) and all(check["status"] == "ok" for check in probes)


def live_through_all(folder: Path, incidents: list[Incident]) -> dict[str, Report]:
    """Live through some incidents, one after another, in an Attune of their own."""
    with fresh_database() as database, fresh_vhost() as broker:
        spine = Spine(database, broker, folder, free_port())
        try:
            spine.prepare()
            spine.start(*SERVICES)
            return {incident.name: live_through(spine, incident) for incident in incidents}
        finally:
            spine.drop()


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Report]:
    """Every incident: the one itself, then the others, some at the same time."""
    found = live_through_all(tmp_path_factory.mktemp("attune"), INCIDENTS[:1])
    lanes = [(tmp_path_factory.mktemp("attune"), lane) for lane in LANES]
    with ThreadPoolExecutor(len(lanes)) as pool:
        for reports in pool.map(lambda lane: live_through_all(*lane), lanes):
            found |= reports
    return found


@pytest.fixture(params=[incident.name for incident in INCIDENTS])
def report(reports: dict[str, Report], request: pytest.FixtureRequest) -> Report:
    return reports[request.param]


def test_it_is_named_by_health_a_metric_and_an_alert(report: Report):
    assert report.named_after.keys() == EVERYWHERE, report.said
    late = {name: seconds for name, seconds in report.named_after.items() if seconds > NAMED_WITHIN}
    assert late == {}, report


def test_every_event_meanwhile_ends_in_a_completed_execution(report: Report):
    assert report.accepted == EVENTS
    assert report.completed == EVENTS


def test_health_turns_green_after_the_repair(report: Report):
    assert report.recovered
