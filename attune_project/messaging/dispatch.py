"""What a consumer does with a message: check that it is ours, answer a probe, or run the step."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

import structlog
from celery import shared_task
from celery.exceptions import Reject
from django.db import DatabaseError, InterfaceError, OperationalError, connections, transaction

from attune_project.messaging import broker, counts, failures, probes, steps
from attune_project.messaging.keeping import Dead, keep
from attune_project.messaging.publisher import Letter, publisher
from attune_project.messaging.reasons import MISROUTED, PROCESS_DIED, STEP_FAILED, words_of
from attune_project.messaging.storing import trace_of
from attune_project.messaging.topology import DELIVERY_LIMIT, MessageType
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
        _refuse_misrouted(message, request, ids, key)
        if headers.get("probe"):
            _answer(message, key, headers["probe"])
            return
        _run(message, request, ids, key)


def _refuse_misrouted(message: MessageType, request: Any, ids: list[int], key: str) -> None:
    delivery = request.delivery_info or {}
    exchange = delivery.get("exchange")
    right_key = key == message.routing_key or (message.pooled and key.startswith(message.routing_key + "."))
    if exchange == message.exchange and right_key and current_service() == message.consumer:
        return
    counts.add(counts.CONSUMED, message.queue, "misrouted")
    log.error("message came by a wrong way", message_type=message.name, exchange=exchange, routing_key=key)
    words = f"{message.name} came by {exchange} {key} to {current_service()}"
    if not broker.is_amqp():  # its queue has no dead-letter exchange
        _keep_if_possible(message, request, ids, MISROUTED, words)
    raise Reject(words, requeue=False)


def _answer(message: MessageType, key: str, service: str) -> None:
    try:
        _on_a_live_connection(lambda: probes.answer(key, service))
    except (OperationalError, InterfaceError) as problem:
        connections.close_all()
        log.warning("probe not answered", error=str(problem))
        return
    counts.add(counts.CONSUMED, message.queue, "probe")


def _run(message: MessageType, request: Any, ids: list[int], key: str) -> None:
    counted = _count_again(request)
    if counted > DELIVERY_LIMIT:
        _keep_if_possible(message, request, ids, PROCESS_DIED, failures.DIED)
        return
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
        _count_failure(message, request, ids, problem, counted)
        return
    if counted:
        failures.take_message(_id_of(request))
    counts.add(counts.CONSUMED, message.queue, "ok")
    if more:  # give other queues their turn, then go on
        pool = key.removeprefix(message.routing_key).removeprefix(".") or None
        publisher().send(Letter(message, ids[:1], pool))


def _count_again(request: Any) -> int:
    """Count a message that comes again, where no broker does: whoever had it may have died of it.

    Return that count; 0 when it isn't counted.
    """
    redelivered = (request.delivery_info or {}).get("redelivered") or (request.headers or {}).get(
        "redelivered"
    )
    if broker.is_amqp() or not redelivered:
        return 0
    try:
        return failures.note_message(_id_of(request), PROCESS_DIED, failures.DIED)
    except (DatabaseError, InterfaceError):
        connections.close_all()
        return 0


def _count_failure(
    message: MessageType, request: Any, ids: list[int], problem: Exception, counted: int
) -> None:
    """Count a message whose step failed, and let it come again; after DELIVERY_LIMIT it is a dead letter.

    RabbitMQ counts by itself: here only the words are noted for whoever keeps the letter.
    """
    words = words_of(problem)
    try:
        if counted:
            failures.explain_message(_id_of(request), STEP_FAILED, words)
        else:
            counted = failures.note_message(_id_of(request), STEP_FAILED, words)
        if counted >= DELIVERY_LIMIT and not broker.is_amqp():
            _keep(message, request, ids, STEP_FAILED, words)
            return
    except (DatabaseError, InterfaceError) as uncounted:
        connections.close_all()
        log.warning("failure not counted", error=str(uncounted))
        if not broker.is_amqp():  # nobody would count how often it comes again; the polls do its rows
            return
    raise Reject(f"{type(problem).__name__}: {problem}", requeue=True) from problem


def _keep_if_possible(message: MessageType, request: Any, ids: list[int], reason: str, detail: str) -> None:
    try:
        _keep(message, request, ids, reason, detail)
    except (DatabaseError, InterfaceError) as problem:  # what is lost is a word: the rows still owe
        connections.close_all()
        log.warning("dead letter not kept", error=str(problem))


def _keep(message: MessageType, request: Any, ids: list[int], reason: str, detail: str) -> None:
    """Keep a dead letter where no broker does, and forget how often it failed."""
    delivery = request.delivery_info or {}
    with transaction.atomic():
        failures.take_message(_id_of(request))
        keep(
            Dead(
                queue=message.queue,
                exchange=str(delivery.get("exchange") or ""),
                routing_key=str(delivery.get("routing_key") or ""),
                reason=reason,
                detail=detail,
                body=json.dumps([[], {message.argument: ids}, {}]),
                headers=json.dumps({"task": message.task, "message_id": _id_of(request)}),
                message_id=_id_of(request),
                trace_id=trace_of((request.headers or {}).get("trace_id")),
            )
        )


def _id_of(request: Any) -> str:
    headers = request.headers or {}
    return str(headers.get("message_id") or getattr(request, "id", None) or "unknown")


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
