"""Move what the broker gave up on into rows, where it is seen: commit, then ack."""

import json
from typing import Any

from django.db import transaction
from kombu import Connection

from attune_project.faults import fault
from attune_project.messaging import broker, failures, reading, topology
from attune_project.messaging.keeping import Dead
from attune_project.messaging.keeping import keep as store
from attune_project.messaging.reasons import MALFORMED, MISROUTED, UNKNOWN_TASK, UNSUPPORTED_VERSION, bounded
from attune_project.messaging.storing import storable_headers, text_of, trace_of
from attune_project.messaging.ticker import every

MOST_PER_TICK = 200
REJECTED = "rejected"


@every(2, services=("executor",), thread="dead-letters")
def collect() -> int:
    """Move waiting dead letters into `dead_letter`; return how many. The embedded broker has none."""
    if not broker.is_amqp():
        return 0
    with broker.connect() as connection:
        moved = move(connection)
    return moved


def move(connection: Connection, limit: int = MOST_PER_TICK) -> int:
    """Move up to `limit` messages, each acknowledged only after its row has committed."""
    channel: Any = connection.channel()  # what it gets are bare messages, which can't ack themselves
    for moved in range(limit):
        message = channel.basic_get(topology.DEAD_LETTER_QUEUE)
        if message is None:
            return moved
        with transaction.atomic():
            keep(message)
        fault("dead_letter.before_ack")
        channel.basic_ack(message.delivery_tag)
    return limit


def keep(message: Any) -> None:
    """Store one dead message as it came. Anybody's message may end here, so nothing in it is trusted:
    one that could not be stored would hold up all behind it."""
    headers = message.headers or {}
    death = _death(headers)
    keys = death.get("routing-keys")
    first = keys[0] if isinstance(keys, list) and keys else message.delivery_info.get("routing_key")
    exchange, key, queue = (text_of(one or "") for one in (death.get("exchange"), first, death.get("queue")))
    message_id = reading.key_of(headers, message.body)
    reason, detail = _why(message, text_of(death.get("reason") or "unknown"), (exchange, key, queue))
    noted = failures.take_message(message_id)
    if noted and reason not in (MALFORMED, UNKNOWN_TASK, UNSUPPORTED_VERSION):
        detail = noted[1]
    store(
        Dead(
            queue=queue,
            exchange=exchange,
            routing_key=key,
            reason=reason,
            detail=bounded(detail),
            body=text_of(message.body),
            headers=json.dumps(storable_headers(headers)),
            properties=json.dumps({"content_type": text_of(_content_type(message) or "")}),
            message_id=message_id,
            trace_id=trace_of(headers.get("trace_id")),
        )
    )


def _why(message: Any, said: str, way: tuple[str, str, str]) -> tuple[str, str]:
    """Return why a message died: what a consumer refused it for, or else the broker's word."""
    if said != REJECTED:
        return said, ""
    found = reading.read(message.headers, message.body, _content_type(message))
    if isinstance(found, reading.Bad):
        return found.reason, found.detail
    exchange, key, queue = way
    routes = topology.bindings((key.removeprefix(f"{found.message.routing_key}."),))
    if queue and way not in routes:
        return MISROUTED, f"{found.message.name} came to {queue} by {exchange} {key}."
    return said, ""


def _content_type(message: Any) -> str | None:
    """Return the content type of a bare message (py-amqp's), which has it among its properties."""
    given = getattr(message, "content_type", None) or getattr(message, "properties", {}).get("content_type")
    return str(given) if given else None


def _death(headers: dict[str, Any]) -> dict[str, Any]:
    """Return the broker's own words about the death; a message that was sent here by hand has none."""
    deaths = headers.get("x-death")
    return deaths[0] if isinstance(deaths, list) and deaths and isinstance(deaths[0], dict) else {}
