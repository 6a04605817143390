"""The live broker held against the table."""

import json
import urllib.request
from base64 import b64encode
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from amqp.exceptions import ChannelError
from django.conf import settings
from kombu import Connection

from attune_project.messaging import broker, declare, topology


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `wrong` when it differs from the table."""

    subject: str
    state: str
    wrong: bool = False
    depth: int | None = None
    consumers: int | None = None

    def __str__(self) -> str:
        numbers = "" if self.depth is None else f" ({self.depth} messages, {self.consumers} consumers)"
        return f"{'WRONG' if self.wrong else 'ok':6}{self.subject}: {self.state}{numbers}"


def inspect(pools: tuple[str, ...] = ()) -> list[Finding]:
    """Look at every exchange, queue and binding of the table."""
    with broker.connect() as connection:
        exchanges = (
            [] if not broker.is_amqp() else [look_at_exchange(connection, e.name) for e in topology.EXCHANGES]
        )
        queues = [look_at_queue(connection, name) for _, _, name in topology.bindings(pools)]
    return [*exchanges, *queues, *look_at_bindings(pools)]


def look_at_exchange(connection: Connection, name: str) -> Finding:
    try:
        with connection.channel() as channel:
            declare.exchange(name)(channel).declare(passive=True)
    except ChannelError as problem:
        return Finding(f"exchange {name}", str(problem.reply_text), wrong=True)
    return Finding(f"exchange {name}", "exists")


def look_at_queue(connection: Connection, name: str) -> Finding:
    """Return a queue's depth and consumers, by a passive declare."""
    try:
        with connection.channel() as channel:
            answer = channel.queue_declare(name, passive=True)  # type: ignore[attr-defined]
    except Exception as problem:  # each transport has its own for "no such queue"
        return Finding(f"queue {name}", str(problem) or type(problem).__name__, wrong=True)
    silent = broker.is_amqp() and not answer.consumer_count and name != topology.DEAD_LETTER_QUEUE
    state = "nobody consumes it" if silent else "exists"
    return Finding(f"queue {name}", state, silent, answer.message_count, answer.consumer_count)


def look_at_bindings(pools: tuple[str, ...]) -> list[Finding]:
    """Compare bindings, which only RabbitMQ's management interface can list."""
    url = settings.ATTUNE_RABBITMQ_MANAGEMENT_URL
    if not url:
        return [Finding("bindings", "not checked (ATTUNE_RABBITMQ_MANAGEMENT_URL is not set)")]
    live = {
        (row["source"], row["routing_key"], row["destination"])
        for row in _management(url)
        if row["source"].startswith(topology.PREFIX + ".")
    }
    wanted = set(topology.bindings(pools))
    missing = [Finding("binding " + " ".join(one), "is missing", wrong=True) for one in sorted(wanted - live)]
    foreign = [
        Finding("binding " + " ".join(one), "is not in the table", wrong=True)
        for one in sorted(live - wanted)
    ]
    return missing + foreign or [Finding("bindings", "equal the table")]


def _management(url: str) -> list[dict[str, str]]:
    parts = urlsplit(url)
    virtual_host = unquote(urlsplit(settings.BROKER_URL).path[1:]) or "/"
    address = (
        f"{parts.scheme}://{parts.hostname}:{parts.port or 15672}/api/bindings/{quote(virtual_host, safe='')}"
    )
    credentials = b64encode(
        f"{unquote(parts.username or 'guest')}:{unquote(parts.password or 'guest')}".encode()
    )
    request = urllib.request.Request(address, headers={"Authorization": f"Basic {credentials.decode()}"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=settings.ATTUNE_PUBLISH_TIMEOUT) as answer:  # noqa: S310 (the operator's own URL)
        return list(json.load(answer))
