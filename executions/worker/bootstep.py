"""The worker process as a part of its celery worker: made before it consumes, drained after."""

from typing import Any

from celery import bootsteps

from attune_project.messaging.consumer import Ticks
from executions.worker import process


class WorkerSlots(bootsteps.StartStopStep):
    requires = (Ticks,)  # so that heartbeats go on while it drains

    def start(self, parent: Any) -> None:
        process.start()

    def stop(self, parent: Any) -> None:
        process.current().stop()

    def terminate(self, parent: Any) -> None:
        self.stop(parent)
