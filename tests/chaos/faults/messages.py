"""Messages that nobody should have sent, and ones that come more than once."""

import json
import uuid
from typing import Any

from kombu import Connection

from attune_project.messaging import topology
from attune_project.messaging.topology import MessageType
from tests.chaos.faults.fault import Fault

DEAD = ("dead_letters", "misrouted", "refused")


class Sent(Fault):
    """One message or more, to a queue of the seed's choice."""

    lasts = (1.0, 3.0)
    alarms = DEAD

    def inject(self) -> None:
        raise NotImplementedError

    def send(self, exchange: str, key: str, body: bytes, **headers: Any) -> None:
        with Connection(self.stage.servers.rabbitmq.url) as connection:
            connection.Producer().publish(
                body, exchange=exchange, routing_key=key, content_type="application/json",
                content_encoding="utf-8", headers=headers, delivery_mode=2, retry=True,
            )  # fmt: skip

    def one(self) -> MessageType:
        return self.random.choice(topology.MESSAGE_TYPES)


def body_of(message: MessageType, ids: list[int]) -> bytes:
    return json.dumps([[], {message.argument: ids}, {}]).encode()


def headers_of(task: str) -> dict[str, Any]:
    return {"id": str(uuid.uuid4()), "task": task, "lang": "py", "argsrepr": "()", "kwargsrepr": "{}"}


class Tripled(Sent):
    """A ring for rows that are there, three times."""

    name = "message-tripled"
    alarms = ()

    def inject(self) -> None:
        one = self.one()
        last = int(self.stage.spine.one(f"SELECT COALESCE(max(id), 1) FROM {one.noun}"))
        body = body_of(one, list(range(max(1, last - 20), last + 1)))
        for _ in range(3):
            self.send(one.exchange, one.routing_key, body, **headers_of(one.task))


class Misrouted(Sent):
    """A message that comes by the right queue's wrong key: straight to another's queue."""

    name = "message-misrouted"

    def inject(self) -> None:
        one, other = self.random.sample(list(topology.MESSAGE_TYPES), 2)
        self.send("", other.queue, body_of(one, [1]), **headers_of(one.task))


class Malformed(Sent):
    """What isn't JSON, to each queue."""

    name = "message-malformed"

    def inject(self) -> None:
        for one in topology.MESSAGE_TYPES:
            self.send(one.exchange, one.routing_key, b'{"broken": ', **headers_of(one.task))


class UnknownTask(Sent):
    """A task that nobody knows, to each queue."""

    name = "message-unknown"

    def inject(self) -> None:
        for one in topology.MESSAGE_TYPES:
            self.send(one.exchange, one.routing_key, body_of(one, [1]), **headers_of("nobody.knows.me"))


class OtherVersions(Sent):
    """Rings as another version of this program would send them: with keys and headers more and less."""

    name = "message-versions"
    alarms = ()

    def inject(self) -> None:
        for one in topology.MESSAGE_TYPES:
            newer = json.dumps([[], {one.argument: [1], "from_the_future": {"a": 1}}, {"new": True}]).encode()
            self.send(one.exchange, one.routing_key, newer, **headers_of(one.task), schema="99")
            self.send(one.exchange, one.routing_key, body_of(one, []), **headers_of(one.task))


FAULTS = [Tripled, Misrouted, Malformed, UnknownTask, OtherVersions]
