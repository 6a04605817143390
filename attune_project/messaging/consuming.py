"""Stop and go on consuming, from any thread."""

from typing import Any

from celery import current_app

from attune_project.messaging import pools, topology
from attune_project.service import current_service


class Consuming:
    """Whether this process takes messages from its queues.

    Only the consumer's own loop may touch its channel, so both verbs leave a callback for it.
    """

    def __init__(self) -> None:
        self._consumer: Any = None
        self._paused = False

    def attach(self, consumer: Any) -> None:
        """Keep the consumer of a new connection, which consumes; after a pause it is to stop at once."""
        self._consumer = consumer
        if self._paused:
            self._soon()

    def pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._soon()

    def resume(self) -> None:
        if self._paused:
            self._paused = False
            self._soon()

    def _soon(self) -> None:
        if self._consumer is not None and self._consumer.hub is not None:
            self._consumer.hub.call_soon(self._apply)

    def _apply(self) -> None:
        tasks = self._consumer.task_consumer
        if tasks is None:  # between two connections; the next one consumes
            return
        for name in consumed_queues():
            if self._paused:
                tasks.cancel_by_queue(name)
            else:
                tasks.add_queue(current_app.amqp.queues[name])
        if not self._paused:
            tasks.consume()


def consumed_queues() -> list[str]:
    """Return the queues of this service; a worker's those of its pool."""
    return [route.queue for route in topology.consumed_by(current_service(), pools.mine())]


consuming = Consuming()
