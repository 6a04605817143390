"""A message whose step keeps failing, or kills: counted, and a dead letter in the end.

RabbitMQ counts deliveries and moves a message after `x-delivery-limit`; for it only the words are noted.
Where no broker counts, the database does, and keeps the dead letter at once. A word of this that is lost
costs nothing: the rows still owe.
"""

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress

import structlog
from celery.exceptions import Reject
from django.db import DatabaseError, InterfaceError, connections, transaction

from attune_project.messaging import broker, failures
from attune_project.messaging.delivery import Delivery
from attune_project.messaging.keeping import Dead, keep
from attune_project.messaging.reasons import MISROUTED, PROCESS_DIED, STEP_FAILED, words_of
from attune_project.messaging.storing import trace_of
from attune_project.messaging.topology import DELIVERY_LIMIT, MessageType

log = structlog.get_logger(__name__)


def count_again(rings: Sequence[Delivery]) -> list[int]:
    """Count the messages that come again, where no broker does: whoever had them may have died of them.

    Return their counts; 0 for one that isn't counted.
    """
    if broker.is_amqp():
        return [0] * len(rings)
    return [_count_death(one) if one.came_again else 0 for one in rings]


def _count_death(one: Delivery) -> int:
    try:
        return failures.note_message(one.message_id, PROCESS_DIED, failures.DIED)
    except (DatabaseError, InterfaceError):
        connections.close_all()
        return 0


def kills(message: MessageType, one: Delivery, counted: int) -> bool:
    """Return whether a message came more often than it may; it is a dead letter then."""
    if counted <= DELIVERY_LIMIT:
        return False
    keep_if_possible(message, one, PROCESS_DIED, failures.DIED)
    return True


def count_failure(message: MessageType, one: Delivery, problem: Exception, counted: int) -> Reject | None:
    """Count a message whose step failed; return how it is to come again, or None when it is a dead letter."""
    words = words_of(problem)
    try:
        if counted:
            failures.explain_message(one.message_id, STEP_FAILED, words)
        else:
            counted = failures.note_message(one.message_id, STEP_FAILED, words)
        if counted >= DELIVERY_LIMIT and not broker.is_amqp():
            _keep(message, one, STEP_FAILED, words)
            return None
    except (DatabaseError, InterfaceError) as uncounted:
        connections.close_all()
        log.warning("failure not counted", error=str(uncounted))
        if not broker.is_amqp():  # nobody would count how often it comes again; the polls do its rows
            return None
    return Reject(f"{type(problem).__name__}: {problem}", requeue=True)


def forget(done: Iterable[Delivery]) -> None:
    """Forget how often messages came that are done now."""
    with suppress(DatabaseError, InterfaceError):
        for one in done:
            failures.take_message(one.message_id)


def keep_misrouted(message: MessageType, one: Delivery, words: str) -> None:
    """Keep a message that came by a wrong way, where its queue has no dead-letter exchange."""
    if not broker.is_amqp():
        keep_if_possible(message, one, MISROUTED, words)


def keep_if_possible(message: MessageType, one: Delivery, reason: str, detail: str) -> None:
    try:
        _keep(message, one, reason, detail)
    except (DatabaseError, InterfaceError) as problem:
        connections.close_all()
        log.warning("dead letter not kept", error=str(problem))


def _keep(message: MessageType, one: Delivery, reason: str, detail: str) -> None:
    """Keep a dead letter, and forget how often it failed."""
    with transaction.atomic():
        failures.take_message(one.message_id)
        keep(
            Dead(
                queue=message.queue,
                exchange=one.exchange,
                routing_key=one.key,
                reason=reason,
                detail=detail,
                body=json.dumps([[], {message.argument: one.ids}, {}]),
                headers=json.dumps({"task": message.task, "message_id": one.message_id}),
                message_id=one.message_id,
                trace_id=trace_of(one.headers.get("trace_id")),
            )
        )
