"""Operators' own periodic tasks: entries of django-celery-beat, held to what beat can do with them.

`attune.emit_event` is no Celery task: beat calls it itself, in the transaction that notes the run, so
it needs no broker and happens exactly once. Any other task goes straight to the queue that its entry
names; whoever reads that queue must know the task.
"""

import json
from typing import Any, cast

from celery import Celery
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models.signals import pre_save
from django_celery_beat.admin import PeriodicTaskAdmin, PeriodicTaskForm
from django_celery_beat.models import PeriodicTask
from kombu import Queue

from attune_project.messaging import broker, topology
from sensors.recording import NewEvent, record_event

EMIT_EVENT = "attune.emit_event"
SOURCE_REF = "periodic_task"
EMIT_ARGUMENTS = ("trigger_ref", "payload")


def emit_event(trigger_ref: str, payload: dict[str, Any] | None = None) -> None:
    """Record an event of a trigger: what an entry whose task is `attune.emit_event` asks for.

    Raise EventRefused for a trigger that isn't there and for a payload that it doesn't take.
    """
    record_event(NewEvent(trigger_ref=trigger_ref, payload=payload or {}, source_ref=SOURCE_REF))


def validate(task: PeriodicTask) -> None:
    """Raise ValidationError, by field, for an entry that could not do what it says."""
    problems = _emit_problems(task) if task.task == EMIT_EVENT else _queue_problems(task)
    if problems:
        raise ValidationError(problems)


def send(app: Celery, name: str, args: list[Any], kwargs: dict[str, Any], options: dict[str, Any]) -> None:
    """Put a task on the queue that its entry names; raise when the broker has no such queue.

    The queue is never declared: a misspelt name must fail, not make a queue that nobody reads. Each
    message has a connection of its own, with time limits: they are few, and none is ever stale.
    """
    queue = options.pop("queue", None)
    if not queue:
        raise LookupError("the entry names no queue")
    if broker.is_amqp():
        timeout = settings.ATTUNE_PUBLISH_TIMEOUT
        options |= {"mandatory": True, "timeout": timeout, "confirm_timeout": timeout}
    with broker.connect() as connection:
        app.send_task(
            name,
            args,
            kwargs,
            **options,
            connection=connection,
            queue=cast(str, Queue(queue, no_declare=True)),  # a Queue is taken too: it needs no table entry
            exchange="",
            routing_key=queue,
            declare=[],
            retry=False,
            ignore_result=True,
        )


class CheckedPeriodicTaskForm(PeriodicTaskForm):  # type: ignore[misc] # untyped upstream
    """The admin's form: it names what is wrong beside the field."""

    def _post_clean(self) -> None:
        super()._post_clean()
        try:
            validate(self.instance)
        except ValidationError as problem:
            self._update_errors(problem)


def connect() -> None:
    """Hold every entry to `validate` whenever it is saved, by whatever door."""
    PeriodicTaskAdmin.form = CheckedPeriodicTaskForm  # else the refusal of a save is a 500 there
    pre_save.connect(_before_save, sender=PeriodicTask, dispatch_uid="attune-periodic")


def _before_save(instance: PeriodicTask, raw: bool = False, **_: Any) -> None:
    """Refuse what could not run. One that is disabled may be saved: beat does so to stop a broken one."""
    if instance.enabled and not raw:
        validate(instance)


def _queue_problems(task: PeriodicTask) -> dict[str, str]:
    if not task.queue:
        return {
            "queue": f"Name the queue that a worker which knows {task.task!r} reads: there is no default."
        }
    if task.exchange or task.routing_key:
        return {"routing_key": "Leave exchange and routing key empty: the task goes straight to its queue."}
    known = {message.queue: message.task for message in topology.MESSAGE_TYPES}
    if task.queue in known and known[task.queue] != task.task:
        return {"queue": f"Attune's own queue {task.queue} knows {known[task.queue]!r} only."}
    return {}


def _emit_problems(task: PeriodicTask) -> dict[str, str]:
    args = _json(task.args, list)
    if args is None or len(args) > len(EMIT_ARGUMENTS):
        return {"args": "Give a JSON list: [trigger_ref, payload]."}
    kwargs = _json(task.kwargs, dict)
    if kwargs is None or set(kwargs) - set(EMIT_ARGUMENTS[len(args) :]):
        return {"kwargs": 'Give a JSON object: {"trigger_ref": "pack.name", "payload": {...}}.'}
    given = {**dict(zip(EMIT_ARGUMENTS, args, strict=False)), **kwargs}
    if not isinstance(given.get("trigger_ref"), str):
        return {"kwargs": f"{EMIT_EVENT} needs trigger_ref, a text."}
    if not isinstance(given.get("payload") or {}, dict):
        return {"kwargs": f"{EMIT_EVENT} needs payload to be an object."}
    return {}


def _json(text: str, kind: type) -> Any:
    """Return the JSON value in a text if it is of that kind, else None."""
    try:
        value = json.loads(text or "null") or kind()
    except ValueError:
        return None
    return value if isinstance(value, kind) else None
