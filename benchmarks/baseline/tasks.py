"""The steps, a Celery task each: `celery -A benchmarks.baseline.tasks worker --pool prefork`."""

import os
from typing import Any

os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.baseline.settings"

import django

django.setup()

from celery import Celery  # noqa: E402
from django.db import transaction  # noqa: E402
from django.utils import timezone  # noqa: E402
from kombu import Queue  # noqa: E402

from benchmarks.baseline import QUEUE  # noqa: E402
from benchmarks.baseline.models import Enforcement, Event, Execution  # noqa: E402

URL = os.environ["BROKER_URL"]

app = Celery("by_hand", broker=URL)
app.conf.update(
    task_queues=[Queue(QUEUE, durable=True)],
    task_default_queue=QUEUE,
    task_ignore_result=True,
    task_acks_late=True,
    worker_prefetch_multiplier=4,
    worker_hijack_root_logger=False,
    worker_enable_remote_control=False,
    broker_connection_retry_on_startup=True,
    broker_transport_options={"confirm_publish": True} if URL.startswith("amqp") else {},
)
# Without it Celery closes the database connection around every task, which costs four fifths of the rate.
app.conf.CELERY_DB_REUSE_MAX = 10**9


def record(payloads: list[dict[str, Any]]) -> int:
    """Store events in one transaction, as the web service would, and publish on commit; return how many."""
    with transaction.atomic():
        events = [Event(trigger_ref="bench.alert", payload=payload) for payload in payloads]
        for event in Event.objects.bulk_create(events):
            transaction.on_commit(lambda pk=event.pk: match.delay(pk))
    return len(payloads)


@app.task
def match(event_id: int) -> None:
    """Store the enforcement of an event that the rule wants."""
    event = Event.objects.get(pk=event_id)
    if event.payload.get("value", 0) > 1:
        with transaction.atomic():
            enforcement = Enforcement.objects.create(
                event=event, rule_ref="bench.alert", config={"message": event.payload["host"]}
            )
            transaction.on_commit(lambda: enforce.delay(enforcement.pk))


@app.task
def enforce(enforcement_id: int) -> None:
    """Store the execution of an enforcement."""
    enforcement = Enforcement.objects.get(pk=enforcement_id)
    with transaction.atomic():
        execution = Execution.objects.create(
            enforcement=enforcement, action_ref="core.noop", config=enforcement.config
        )
        Enforcement.objects.filter(pk=enforcement_id).update(status="processed", updated=timezone.now())
        transaction.on_commit(lambda: run.delay(execution.pk))


@app.task
def run(execution_id: int) -> None:
    """Run an action that does nothing."""
    now = timezone.now()
    execution = Execution.objects.get(pk=execution_id)
    Execution.objects.filter(pk=execution_id).update(status="running", started_at=now, updated=now)
    result = {"exit_code": 0, "message": execution.config.get("message")}
    now = timezone.now()
    Execution.objects.filter(pk=execution_id).update(
        status="completed", result=result, finished_at=now, updated=now
    )
