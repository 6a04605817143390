"""Move what the broker gave up on into rows, where it is seen: commit, then ack."""

import json
import uuid
from typing import Any

import structlog
from django.db import transaction
from kombu import Connection

from attune_project.faults import fault
from attune_project.messaging import broker, topology
from attune_project.messaging.models import DeadLetter
from attune_project.messaging.ticker import every

log = structlog.get_logger(__name__)
MOST_PER_TICK = 200


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


def keep(message: Any) -> DeadLetter:
    """Store one dead message as it came. Anybody's message may end here, so nothing in it is trusted:
    one that could not be stored would hold up all behind it."""
    headers = message.headers or {}
    death = _death(headers)
    keys = death.get("routing-keys") or [message.delivery_info.get("routing_key")]
    row = DeadLetter.objects.create(
        message_id=_text(headers.get("message_id") or headers.get("id") or "") or None,
        queue=_text(death.get("queue") or ""),
        exchange=_text(death.get("exchange") or ""),
        routing_key=_text(keys[0] or ""),
        reason=_text(death.get("reason") or "unknown"),
        body=_text(message.body),
        headers=_document(headers),
        trace_id=_uuid(headers.get("trace_id")),
    )
    log.error("dead letter", routing_key=row.routing_key, reason=row.reason, queue=row.queue)
    return row


def _death(headers: dict[str, Any]) -> dict[str, Any]:
    """Return the broker's own words about the death; a message that was sent here by hand has none."""
    deaths = headers.get("x-death")
    return deaths[0] if isinstance(deaths, list) and deaths and isinstance(deaths[0], dict) else {}


def _document(headers: dict[str, Any]) -> dict[str, Any]:
    """Return headers as JSON that PostgreSQL takes, or their Python text where there is no such JSON."""
    try:
        text = json.dumps(headers, default=str, skipkeys=True, allow_nan=False, ensure_ascii=False)
        document = json.loads(text.replace("\\u0000", "\\ufffd").encode())
    except ValueError:
        return {"unreadable": _text(repr(headers))}
    return dict(document)


def _uuid(value: Any) -> uuid.UUID | None:
    try:
        return uuid.UUID(str(value))
    except ValueError:
        return None


def _text(body: Any) -> str:
    raw = body if isinstance(body, bytes) else str(body).encode(errors="replace")
    return raw[:100_000].decode(errors="replace").replace("\x00", "\ufffd")
