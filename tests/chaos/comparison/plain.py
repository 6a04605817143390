"""The same work as a hand-written Celery application: an event's row, a task, a row of its result.

`COMPARED=defaults` is Celery as it comes. `COMPARED=lossless` is what its documentation and users recommend
against loss: late acks, reject on a lost worker, quorum queues, confirms, one message at a time, and tries
again when the database fails.
"""

import os
import signal
import time
from typing import Any

import psycopg
from celery import Celery, Task
from kombu import Queue

LOSSLESS: dict[str, Any] = {
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "task_queues": [Queue("celery", queue_arguments={"x-queue-type": "quorum"})],
    "broker_transport_options": {"confirm_publish": True},
    "worker_prefetch_multiplier": 1,
}
SECONDS = 0.2


def application(broker: str, *, lossless: bool) -> Celery:
    app = Celery("plain", broker=broker, set_as_current=False)
    app.conf.update(broker_connection_retry_on_startup=True, task_ignore_result=True)
    if lossless:
        app.conf.update(LOSSLESS)
    return app


lossless = os.environ.get("COMPARED") == "lossless"
app = application(os.environ.get("COMPARED_BROKER", "memory://"), lossless=lossless)
again: dict[str, Any] = (
    {"autoretry_for": (psycopg.OperationalError,), "default_retry_delay": 2, "max_retries": 10}
    if lossless
    else {}
)


@app.task(bind=True, name="compared.work", **again)
def work(self: Task, n: int) -> None:
    """Mark the start, work, and store the result; poison (n below 0) kills its process."""
    store("INSERT INTO mark (n) VALUES (%s)", n)
    if n < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(SECONDS)
    store("INSERT INTO result (n) VALUES (%s)", n)


def store(statement: str, n: int) -> None:
    with psycopg.connect(os.environ["COMPARED_DATABASE"], connect_timeout=5) as connection:
        connection.execute(statement, [n])  # type: ignore[arg-type]
