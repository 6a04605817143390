"""Celery's consumer, as Attune needs it."""

import gc
import os
from functools import partial
from pathlib import Path
from typing import Any

from celery import bootsteps
from celery.utils.threads import bound_open_broker_sockets  # type: ignore[attr-defined]
from celery.worker.consumer import Consumer
from celery.worker.consumer.tasks import Tasks

from attune_project.messaging import declare, refusing, steps, ticker
from attune_project.messaging.consuming import consuming
from attune_project.service import current_service

LONGEST_PAUSE = 5.0
LEAVE_SECONDS = 1.0
YOUNG_OBJECTS = 20_000  # a batch of rows makes so many, and few of them refer to each other in circles


class DeadLetters(bootsteps.StartStopStep):
    """Declare the dead-letter exchange and queue: every consumer does."""

    requires = (Tasks,)

    def start(self, parent: Any) -> None:
        with parent.connection.channel() as channel:
            declare.dead_letter_queue()(channel).declare()


class Flush(bootsteps.StartStopStep):
    """Send acks before the hub sleeps.

    kombu's hub leaves callbacks of its ready queue (acks among them) for after the poll: a solo worker
    with a full prefetch window then stalls for up to a second (celery #7718).
    """

    requires = (Tasks,)

    def include_if(self, parent: Any) -> bool:
        return parent.hub is not None

    def start(self, parent: Any) -> None:
        hub = parent.hub
        original = hub.poller.poll
        if getattr(original, "flushes", False):  # after a reconnect the poller may be the same
            return

        def poll(timeout: float | None = None) -> Any:
            if hub._ready:
                for callback in hub._pop_ready():
                    callback()
                timeout = 0 if hub._ready else timeout
            return original(timeout)

        poll.flushes = True  # type: ignore[attr-defined]
        hub.poller.poll = poll


class Ready(bootsteps.StartStopStep):
    """Tell whoever started this process that it consumes."""

    requires = (Tasks, DeadLetters)

    def start(self, parent: Any) -> None:
        consuming.attach(parent)
        spare_the_collector()
        path = os.environ.get("ATTUNE_READY_FILE")
        if path:
            Path(path).touch()


def spare_the_collector() -> None:
    """Keep Python's collector from going through all that was imported, again and again for each batch."""
    if not gc.get_freeze_count():
        gc.collect()
        gc.freeze()
        gc.set_threshold(YOUNG_OBJECTS, 20, 20)


class Leave(bootsteps.StartStopStep):
    """At the end wait only so long for a broker that does not answer: there are actions to be waited for."""

    requires = (Tasks,)

    def close(self, parent: Any) -> None:
        if parent.connection is not None:
            bound_open_broker_sockets(parent.connection, LEAVE_SECONDS)


class Ticks(bootsteps.StartStopStep):
    """Start the service's own clock; it belongs to the worker, so it runs with the broker away, too."""

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._tickers: list[ticker.Ticker] = []

    def start(self, parent: Any) -> None:
        steps.start_carefully(current_service())
        self._tickers = ticker.start(current_service())

    def stop(self, parent: Any) -> None:
        for thread in self._tickers:
            thread.stop()

    terminate = stop


class AttuneConsumer(Consumer):
    """A consumer without native delayed delivery (28 exchanges and queues that nothing here uses)."""

    class Blueprint(Consumer.Blueprint):  # type: ignore[misc, valid-type]
        default_steps = [
            step for step in Consumer.Blueprint.default_steps if "delayed_delivery" not in str(step)
        ] + [DeadLetters, Flush, Leave, Ready]

    def create_task_handler(self, *args: Any, **options: Any) -> Any:
        """Refuse what Celery would lose or fail at, before it sees it."""
        received = super().create_task_handler(*args, **options)
        known: dict[str, Any] = self.strategies  # type: ignore[attr-defined]

        def on_message(message: Any) -> None:
            bad = refusing.trouble_of(message, known)
            if bad is None:
                received(message)
            else:
                refusing.refuse(message, bad)

        return on_message

    def ensure_connected(self, conn: Any) -> Any:
        """Connect, trying every few seconds: kombu's pauses grow to 30 s, which would outlast the outage."""
        conn.ensure_connection = partial(
            conn.ensure_connection, interval_start=0.5, interval_step=0.5, interval_max=LONGEST_PAUSE
        )
        return super().ensure_connected(conn)
