"""Do messages reach the code that understands them?"""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection

from attune_project.console import step_state
from attune_project.console.checks import Check, check
from attune_project.console.pool_state import Pool, live_pools
from attune_project.console.step_state import SILENT, StepState, late
from attune_project.messaging import pools, steps, topology
from attune_project.messaging.topology import Route
from attune_project.service import SERVICES

RECENT = 60.0
# A backlog delays the probes behind it; one that takes this long is worth a word, too.
LONGEST_BACKLOG = 300.0


@dataclass(frozen=True)
class Probe:
    """A row of `message_probe`; the times are in seconds ago."""

    routing_key: str
    service: str
    sent: float
    answered: float | None
    created: float
    error: str | None = None

    @property
    def unanswered(self) -> float:
        return self.created if self.answered is None else self.answered


def read_probes() -> list[Probe]:
    """Return every probe by its row, stale and retired ones too."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT routing_key, service, extract(epoch FROM now() - sent_at)::float8,"
            " extract(epoch FROM now() - answered_at)::float8,"
            " extract(epoch FROM now() - created)::float8, error FROM message_probe"
        )
        return [Probe(*row) for row in cursor.fetchall()]


def expected_routes() -> dict[tuple[str, str], Route]:
    """Return what the table wants probed, by (routing key, service)."""
    names = pools.declared()
    return {
        (route.routing_key, service): route
        for service in SERVICES
        for route in topology.published_by(service, names)
    }


def pool_route(probe: Probe) -> Route | None:
    """Return the route of a pool that only some services know of (a worker declares its own)."""
    for message in topology.MESSAGE_TYPES:
        pool = probe.routing_key.removeprefix(message.routing_key + ".")
        if message.pooled and pool != probe.routing_key and probe.service in message.publishers:
            return Route(message, probe.routing_key, message.queue_name(pool), pool)
    return None


def is_retired(probe: Probe) -> bool:
    """Tell whether the table no longer has what a row is about, or its pool has fallen silent for a day."""
    if (probe.routing_key, probe.service) in expected_routes():
        return False
    return pool_route(probe) is None or probe.sent > 86_400


@check
def probes() -> list[Check]:
    """One check per service and routing key: a probe is sent, and the real handler answers it."""
    rows = {(probe.routing_key, probe.service): probe for probe in read_probes()}
    expected = expected_routes()
    strangers = {
        key: route
        for key, probe in rows.items()
        if key not in expected and probe.sent < late() and (route := pool_route(probe))
    }
    around = Around(
        max((probe.created for probe in rows.values()), default=0.0), step_state.read(), live_pools(),
        broker_refuses=len(rows) > 1 and all(probe.error for probe in rows.values()),
    )  # fmt: skip
    return [
        Check(f"probe:{key}:{service}", reason is None, reason, cause_of(key, service, row, around))
        for (key, service), route in {**expected, **strangers}.items()
        for row in [rows.get((key, service))]
        for reason in [trouble(route, service, row, around)]
    ]


def cause_of(routing_key: str, service: str, probe: Probe | None, around: Around) -> str:
    """Return what is behind a red probe: its sender, the broker if that takes no probe at all, or its way."""
    if probe is None or probe.sent > late():
        return f"service:{service}"
    return "broker" if around.broker_refuses else f"message:{routing_key}"


@dataclass(frozen=True)
class Around:
    """What a probe is judged by, beside its row."""

    uptime: float
    states: dict[str, StepState]
    live: dict[str | None, Pool]
    broker_refuses: bool = False


def trouble(route: Route, service: str, probe: Probe | None, around: Around) -> str | None:
    """Return what is wrong with a probe, in words, or None."""
    message = route.message
    way = f"{message.name} (exchange {message.exchange}, routing key {route.routing_key})"
    said = f" The broker said: {probe.error}." if probe and probe.error else ""
    if probe is None:
        never = f"The {service} service has never sent a probe of {way}: is it running?"
        return never if around.uptime > late() else None
    if probe.sent > late():
        return (
            f"The {service} service has sent no probe of {way} for {probe.sent:.0f} s: is it running?{said}"
        )
    if probe.unanswered <= patience(route, around) or excused(route, probe, around):
        return None
    return (
        f"Probes of {way} from the {service} service have not been answered for {probe.unanswered:.0f} s: the"
        f" {message.consumer} service should read them from {route.queue} as task {message.task}. Is it"
        f" running, does it read that queue, is the queue bound? `manage.py topology --check` looks.{said}"
    )


def patience(route: Route, around: Around) -> float:
    """Return for how many seconds a probe may stay unanswered.

    Half as long when a poll has just found rows of its step without their message: two witnesses agree.
    """
    step = steps.of_message(route.message)
    repaired = around.states.get(step.name, SILENT).repaired if step else None
    return late() / 2 if repaired is not None and repaired < late() else late()


def excused(route: Route, probe: Probe, around: Around) -> bool:
    """Tell whether a probe may wait: behind a backlog, or for workers whose slots are all taken."""
    pool = around.live.get(route.pool) if route.message.consumer == "worker" else None
    if pool is not None and pool.busy:
        return True
    if pool is None and route.pool is not None:  # the check of the pool says that it has no worker
        return True
    step = steps.of_message(route.message)
    behind = step is not None and around.states.get(step.name, SILENT).behind
    return behind and probe.unanswered < LONGEST_BACKLOG


@check
def lost_on_the_way() -> list[Check]:
    """Say which messages the broker had no queue for, and which came to the wrong place, just now."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT outcome, label, total FROM message_count WHERE outcome IN ('unroutable', 'misrouted')"
            " AND updated > now() - make_interval(secs => %s) ORDER BY label",
            [RECENT],
        )
        rows = cursor.fetchall()
    unroutable = ", ".join(f"{label} ({total} in all)" for what, label, total in rows if what == "unroutable")
    misrouted = ", ".join(f"{label} ({total} in all)" for what, label, total in rows if what == "misrouted")
    return [
        Check(
            "unroutable",
            not unroutable,
            f"Within the last minute the broker had no queue for {unroutable}: an exchange, a binding or a"
            " queue is missing. `manage.py topology --check` names it, `--declare` makes it."
            if unroutable
            else None,
        ),
        Check(
            "misrouted",
            not misrouted,
            f"Within the last minute messages came by a wrong way to {misrouted} and were refused: remove the"
            " foreign binding or publisher; the log of the consumer names exchange and routing key."
            if misrouted
            else None,
        ),
    ]


@check
def dead_letters() -> list[Check]:
    """Say what waits for a person."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT queue, reason, count(*) FROM dead_letter"
            " WHERE requeued_at IS NULL AND discarded_at IS NULL"
            " GROUP BY queue, reason ORDER BY count(*) DESC, queue, reason"
        )
        rows = cursor.fetchall()
    if not rows:
        return [Check("dead_letters", True)]
    total = sum(row[2] for row in rows)
    kinds = ", ".join(f"{queue or 'no queue'}, {reason}: {count}" for queue, reason, count in rows[:5])
    return [
        Check(
            "dead_letters",
            False,
            f"{total} dead letters wait for a person ({kinds}). Read their reasons in the admin or by"
            " `manage.py dead_letters list`, mend the cause, then re-drive or discard them.",
        )
    ]
