"""Refuse a message: it becomes a dead letter, by the broker's exchange or, without one, at once."""

import json
from typing import Any

import structlog
from django.db import DatabaseError, InterfaceError

from attune_project.messaging import broker, counts, reading, topology
from attune_project.messaging.keeping import Dead, keep
from attune_project.messaging.reasons import UNKNOWN_TASK, bounded
from attune_project.messaging.storing import storable_headers, text_of

log = structlog.get_logger(__name__)


def trouble_of(message: Any, known_tasks: Any) -> reading.Bad | None:
    """Return what is wrong with a message (kombu's) that came to a consumer; None: Celery may have it.

    Tasks that others have registered in this process are theirs; only their bodies must be readable.
    """
    headers = message.headers
    found = reading.read(headers, message.body, message.content_type)
    if not isinstance(found, reading.Bad):
        return None
    if found.reason == UNKNOWN_TASK and headers["task"] in known_tasks:
        document = reading.document_of(message.body, message.content_type)
        return document if isinstance(document, reading.Bad) else None
    return found


def refuse(message: Any, bad: reading.Bad) -> None:
    """Reject a message (kombu's). On RabbitMQ its queue sends it to the dead-letter exchange."""
    queue = _queue_of(message.delivery_info or {})
    counts.add(counts.CONSUMED, queue, "refused")
    log.error("message refused", reason=bad.reason, detail=bad.detail, queue=queue)
    if broker.is_amqp():
        message.reject(requeue=False)
        return
    try:
        keep(as_dead(message, bad, queue))
    except (DatabaseError, InterfaceError) as problem:  # said in the log above: it is no row's only word
        log.warning("dead letter not kept", error=str(problem))
    message.reject(requeue=False)


def as_dead(message: Any, bad: reading.Bad, queue: str) -> Dead:
    delivery = message.delivery_info or {}
    return Dead(
        queue=queue,
        exchange=text_of(delivery.get("exchange") or ""),
        routing_key=text_of(delivery.get("routing_key") or ""),
        reason=bad.reason,
        detail=bounded(bad.detail),
        body=text_of(message.body),
        headers=json.dumps(storable_headers(message.headers)),
        properties=json.dumps({"content_type": text_of(message.content_type or "")}),
        message_id=reading.key_of(message.headers, message.body),
    )


def _queue_of(delivery: dict[str, Any]) -> str:
    key = str(delivery.get("routing_key") or "")
    for message in topology.MESSAGE_TYPES:
        pool = key.removeprefix(f"{message.routing_key}.")
        if key == message.routing_key:
            return message.queue
        if message.pooled and pool != key:
            return message.queue_name(pool)
    return ""
