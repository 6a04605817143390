"""What a consumer does with a message: check that it is ours, answer a probe, or run the step."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import structlog
from celery import Task, shared_task
from celery.exceptions import Reject
from django.db import InterfaceError, OperationalError, connections

from attune_project.faults import fault
from attune_project.messaging import counts, poison, probes, steps
from attune_project.messaging.delivery import Delivery
from attune_project.messaging.publisher import Letter, publisher
from attune_project.messaging.topology import MessageType
from attune_project.service import current_service

log = structlog.get_logger(__name__)
T = TypeVar("T")


class Ring(Task):
    """The Celery task of a message type: its messages go to `receiving`, not to Celery's own tracer."""

    abstract = True
    Strategy = "attune_project.messaging.receiving:strategy"
    message_type: MessageType


def consume(message: MessageType) -> Any:
    """Return the Celery task of a message type: a thin rim around `handle`.

    It is registered in the service that consumes the type and nowhere else, so that a message which
    comes to another service is refused instead of being done in the wrong place.
    """
    if current_service() != message.consumer:
        return None

    @shared_task(name=message.task, base=Ring, bind=True, ignore_result=True)
    def task(self: Any, /, **arguments: list[int]) -> None:
        dispatch(message, self.request, arguments.get(message.argument) or [])

    task.message_type = message
    return task


def dispatch(message: MessageType, request: Any, ids: list[int]) -> None:
    """Handle one message. Raises Reject for one that came by a wrong way or keeps failing."""
    (refusal,) = handle(message, [Delivery(request.headers or {}, request.delivery_info or {}, ids)])
    if refusal is not None:
        raise refusal


def handle(message: MessageType, came: Sequence[Delivery]) -> list[Reject | None]:
    """Handle messages that came together; return for each why it is to be rejected, or None.

    Their step is run once for all of them: it does what owes, whichever message names it.
    """
    refusals = [_misrouted(message, one) for one in came]
    right = [one for one, refusal in zip(came, refusals, strict=True) if refusal is None]
    for one in right:
        if one.probe:
            _answer(message, one.key, one.probe)
    rings = [one for one in right if not one.probe]
    failed = iter(_run(message, rings) if rings else [])
    return [
        refusal or (None if one.probe else next(failed)) for one, refusal in zip(came, refusals, strict=True)
    ]


def _misrouted(message: MessageType, one: Delivery) -> Reject | None:
    exchange, key = one.exchange, one.key
    right_key = key == message.routing_key or (message.pooled and key.startswith(message.routing_key + "."))
    if exchange == message.exchange and right_key and current_service() == message.consumer:
        return None
    counts.add(counts.CONSUMED, message.queue, "misrouted")
    log.error(
        "message came by a wrong way",
        message_type=message.name, exchange=exchange, routing_key=key, trace_id=one.headers.get("trace_id"),
    )  # fmt: skip
    words = f"{message.name} came by {exchange} {key} to {current_service()}"
    poison.keep_misrouted(message, one, words)
    return Reject(words, requeue=False)


def _answer(message: MessageType, key: str, service: str) -> None:
    try:
        _on_a_live_connection(lambda: probes.answer(key, service))
    except Exception as problem:  # it stays red: whoever looks sees it
        connections.close_all()
        log.warning("probe not answered", error=str(problem))
        return
    counts.add(counts.CONSUMED, message.queue, "probe")


def _run(message: MessageType, rings: Sequence[Delivery]) -> list[Reject | None]:
    """Run the step that messages ring for; return for each why it is to be rejected, or None."""
    counted = poison.count_again(rings)
    spent = [poison.kills(message, one, count) for one, count in zip(rings, counted, strict=True)]
    if all(spent):
        return [None] * len(rings)
    ids = [row_id for one in rings for row_id in one.ids]
    with structlog.contextvars.bound_contextvars(trace_id=rings[0].headers.get("trace_id")):
        try:
            _work(message, rings[0], ids)
        except (OperationalError, InterfaceError) as problem:
            # The database is away: the rows still owe, and the poll that finds it back does them.
            connections.close_all()
            counts.add(counts.CONSUMED, message.queue, "error", len(rings))
            log.warning("step failed", message_type=message.name, error=str(problem))
            return [None] * len(rings)
        except Exception as problem:
            connections.close_all()
            counts.add(counts.CONSUMED, message.queue, "error", len(rings))
            log.exception("step failed", message_type=message.name)
            return [
                None if over else poison.count_failure(message, one, problem, count)
                for one, count, over in zip(rings, counted, spent, strict=True)
            ]
    poison.forget(one for one, count in zip(rings, counted, strict=True) if count)
    counts.add(counts.CONSUMED, message.queue, "ok", len(rings))
    return [None] * len(rings)


def _work(message: MessageType, first: Delivery, ids: list[int]) -> None:
    fault("message.before_work")
    more = _on_a_live_connection(lambda: _step(message, ids))
    if more:  # give other queues their turn, then go on
        pool = first.key.removeprefix(message.routing_key).removeprefix(".") or None
        publisher().send(Letter(message, ids[:1], pool))
    fault("message.before_ack")


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
