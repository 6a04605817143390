"""Probes: a message per routing key on the real way to the real handler, every few seconds.

A missing binding, a wrong exchange, a queue that nobody reads and a renamed task look the same from
here, and are named alike: the probe of that type is not answered.
"""

import structlog
from django.conf import settings
from django.db import connections

from attune_project.messaging import pools, topology
from attune_project.messaging.publisher import Letter, publisher
from attune_project.messaging.ticker import every
from attune_project.messaging.topology import Route
from attune_project.service import current_service
from attune_project.statements import rows_of

log = structlog.get_logger(__name__)


@every(lambda: settings.ATTUNE_PROBE_SECONDS, thread="probes")
def send_all() -> None:
    """Send one probe for each routing key that this service publishes on, those of new pools too."""
    service = current_service()
    routes = topology.published_by(service, pools.refresh())
    _declare_new_pools()
    _note_sent(service, routes)
    for route in routes:
        publisher().send(Letter(route.message, pool=route.pool, probe=service, done=_noter(service, route)))


def _declare_new_pools() -> None:
    try:
        pools.declare_new()
    except Exception as problem:  # whatever the transport raises: the broker is away, and the probes say so
        log.warning("queues of worker pools not declared", error=f"{type(problem).__name__}: {problem}")


def answer(routing_key: str, service: str) -> None:
    """Note that the handler of a routing key was reached by a probe from a service."""
    rows_of(
        "UPDATE message_probe SET answered_at = now(), updated = now()"
        " WHERE routing_key = %s AND service = %s",
        [routing_key, service],
    )


def _note_sent(service: str, routes: list[Route]) -> None:
    rows_of(
        """
        INSERT INTO message_probe (message_type, routing_key, service, sent_at)
        SELECT type, key, %s, now() FROM unnest(%s::text[], %s::text[]) AS route(type, key)
        ON CONFLICT ON CONSTRAINT message_probe_routing_key_service_key
        DO UPDATE SET sent_at = now(), updated = now()
        """,
        [service, [route.message.name for route in routes], [route.routing_key for route in routes]],
    )


def _noter(service: str, route: Route):  # type: ignore[no-untyped-def]
    """Return a callback that keeps the broker's words when a probe could not be published."""

    def note(error: str | None) -> None:
        try:
            rows_of(
                "UPDATE message_probe SET error = %s WHERE routing_key = %s AND service = %s"
                " AND error IS DISTINCT FROM %s",
                [error, route.routing_key, service, error],
            )
        except Exception as problem:  # the publisher's thread must go on
            log.warning("probe outcome not stored", error=str(problem))
            connections.close_all()

    return note
