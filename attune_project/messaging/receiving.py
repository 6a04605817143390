"""How messages come from Celery's consumer to their step: those that came together are one call of it.

Celery would make a request of each message, trace it and send signals: as long as the step of a row takes.
A ring has no use for it: no result, no countdown, no expiry, no revoke. All else is as with Celery's own
strategy and late acknowledgement: a message is acknowledged when its step is done, rejected when it is
refused, and comes again when this process ends before.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from celery.exceptions import InvalidTaskError

from attune_project.messaging.delivery import Delivery
from attune_project.messaging.dispatch import handle
from attune_project.messaging.topology import MessageType

log = structlog.get_logger(__name__)
Answer = Callable[
    ..., object
]  # logger, the errors of a connection; for a rejection whether to queue it again


@dataclass(frozen=True)
class Received:
    """A message that waits for its step, and how to answer it."""

    delivery: Delivery
    ack: Answer
    reject: Answer


class Receiver:
    """Takes the messages of one type of one connection; it is made anew for the next connection."""

    def __init__(self, message: MessageType, consumer: Any) -> None:
        self._message = message
        self._soon = consumer.call_soon
        self._errors = consumer.connection_errors
        self._waiting: list[Received] = []

    def take(self, came: Any, body: object, ack: Answer, reject: Answer, _callbacks: object) -> None:
        """Keep a message until everything is read that has arrived with it.

        Raises InvalidTaskError for one that is no call of our task: the consumer rejects it.
        """
        ids = _ids(came.payload, self._message.argument)
        delivery = Delivery(came.headers or {}, came.delivery_info or {}, ids)
        self._waiting.append(Received(delivery, ack, reject))
        self._soon(self.handle)

    def handle(self) -> None:
        """Handle what waits, and answer it."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        refusals = handle(self._message, [one.delivery for one in waiting])
        for one, refusal in zip(waiting, refusals, strict=True):
            if refusal is None:
                one.ack(log, self._errors)
            else:
                one.reject(log, self._errors, refusal.requeue)  # type: ignore[attr-defined]


def strategy(task: Any, app: object, consumer: Any, **_options: object) -> Answer:
    """Return what Celery's consumer calls with each message of a task (`Task.Strategy`)."""
    return Receiver(task.message_type, consumer).take


def _ids(payload: Any, argument: str) -> list[int]:
    try:
        ids = payload[1].get(argument) or []
    except (TypeError, LookupError, AttributeError) as problem:
        raise InvalidTaskError(f"no call of a task with {argument}: {problem}") from problem
    if not isinstance(ids, list):
        raise InvalidTaskError(f"{argument} is no list")
    return ids
