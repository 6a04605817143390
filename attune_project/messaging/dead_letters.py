"""Move what the broker gave up on into rows, where it is seen: commit, then ack."""

import json
from typing import Any

import structlog
from django.db import transaction
from kombu import Connection

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
    channel = connection.channel()
    for moved in range(limit):
        message = channel.basic_get(topology.DEAD_LETTER_QUEUE)  # type: ignore[attr-defined]
        if message is None:
            return moved
        with transaction.atomic():
            keep(message)
        message.ack()
    return limit


def keep(message: Any) -> DeadLetter:
    """Store one dead message as it came."""
    headers = message.headers or {}
    death = (headers.get("x-death") or [{}])[0]
    key = (death.get("routing-keys") or [message.delivery_info.get("routing_key") or ""])[0]
    row = DeadLetter.objects.create(
        message_id=headers.get("message_id") or headers.get("id"),
        queue=str(death.get("queue") or ""),
        exchange=str(death.get("exchange") or ""),
        routing_key=key,
        reason=str(death.get("reason") or "unknown"),
        body=_text(message.body),
        headers=json.loads(json.dumps(headers, default=str).replace("\\u0000", "\\ufffd")),
        trace_id=headers.get("trace_id"),
    )
    log.error("dead letter", routing_key=key, reason=row.reason, queue=row.queue)
    return row


def _text(body: Any) -> str:
    raw = body if isinstance(body, bytes) else str(body).encode()
    return raw[:100_000].decode(errors="replace").replace("\x00", "\ufffd")
