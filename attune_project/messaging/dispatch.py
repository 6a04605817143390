"""What a consumer does with a message: check that it is ours, answer a probe, or run the step."""

from collections.abc import Callable
from typing import Any, TypeVar

import structlog
from celery import shared_task
from celery.exceptions import Reject
from django.db import InterfaceError, OperationalError, connections

from attune_project.faults import fault
from attune_project.messaging import broker, counts, probes, steps
from attune_project.messaging.publisher import Letter, publisher
from attune_project.messaging.topology import MessageType
from attune_project.service import current_service

log = structlog.get_logger(__name__)
T = TypeVar("T")


def consume(message: MessageType) -> Any:
    """Return the Celery task of a message type: a thin rim around `dispatch`.

    It is registered in the service that consumes the type and nowhere else, so that a message which
    comes to another service is refused instead of being done in the wrong place.
    """
    if current_service() != message.consumer:
        return None

    @shared_task(name=message.task, bind=True, ignore_result=True)
    def task(self: Any, /, **arguments: list[int]) -> None:
        dispatch(message, self.request, arguments.get(message.argument) or [])

    return task


def dispatch(message: MessageType, request: Any, ids: list[int]) -> None:
    """Handle one message. Raises Reject for one that came by a wrong way or keeps failing."""
    headers = request.headers or {}
    key = (request.delivery_info or {}).get("routing_key") or ""
    with structlog.contextvars.bound_contextvars(trace_id=headers.get("trace_id")):
        _refuse_misrouted(message, request.delivery_info or {}, key)
        if headers.get("probe"):
            _answer(message, key, headers["probe"])
            return
        fault("message.before_work")
        _run(message, ids, key)
        fault("message.before_ack")


def _refuse_misrouted(message: MessageType, delivery: dict[str, Any], key: str) -> None:
    exchange = delivery.get("exchange")
    right_key = key == message.routing_key or (message.pooled and key.startswith(message.routing_key + "."))
    if exchange == message.exchange and right_key and current_service() == message.consumer:
        return
    counts.add(counts.CONSUMED, message.queue, "misrouted")
    log.error("message came by a wrong way", message_type=message.name, exchange=exchange, routing_key=key)
    raise Reject(f"{message.name} came by {exchange} {key} to {current_service()}", requeue=False)


def _answer(message: MessageType, key: str, service: str) -> None:
    try:
        _on_a_live_connection(lambda: probes.answer(key, service))
    except (OperationalError, InterfaceError) as problem:
        connections.close_all()
        log.warning("probe not answered", error=str(problem))
        return
    counts.add(counts.CONSUMED, message.queue, "probe")


def _run(message: MessageType, ids: list[int], key: str) -> None:
    try:
        more = _on_a_live_connection(lambda: _step(message, ids))
    except (OperationalError, InterfaceError) as problem:
        # The database is away: the rows still owe, and the poll that finds it back does them.
        connections.close_all()
        counts.add(counts.CONSUMED, message.queue, "error")
        log.warning("step failed", message_type=message.name, error=str(problem))
        return
    except Exception as problem:
        connections.close_all()
        counts.add(counts.CONSUMED, message.queue, "error")
        log.exception("step failed", message_type=message.name)
        if broker.is_amqp():  # the broker counts: after x-delivery-limit it is a dead letter
            raise Reject(f"{type(problem).__name__}: {problem}", requeue=True) from problem
        return
    counts.add(counts.CONSUMED, message.queue, "ok")
    if more:  # give other queues their turn, then go on
        pool = key.removeprefix(message.routing_key).removeprefix(".") or None
        publisher().send(Letter(message, ids[:1], pool))


def _on_a_live_connection(work: Callable[[], T]) -> T:
    """Do it, and once more on a new connection if that of an earlier message has gone meanwhile.

    A connection can idle for long: when the database was restarted, that is no reason to lose a ring.
    """
    try:
        return work()
    except (OperationalError, InterfaceError) as problem:
        connections.close_all()
        log.info("trying again on a new database connection", reason=str(problem))
        return work()


def _step(message: MessageType, ids: list[int]) -> bool:
    hint = steps.hint_of(message)
    if hint is not None:
        hint(ids)
        return False
    step = steps.of_message(message)
    if step is None:
        raise LookupError(f"no step is registered for {message.name}")
    return steps.work(step)[1]
