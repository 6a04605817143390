"""The worker process as a part of its celery worker: made before it consumes, drained after."""

from typing import Any

from celery import bootsteps

from attune_project.messaging.consumer import Ticks
from executions.worker import ticks


class WorkerSlots(bootsteps.StartStopStep):
    requires = (Ticks,)  # so that heartbeats go on while it drains

    def start(self, parent: Any) -> None:
        ticks.start()

    def stop(self, parent: Any) -> None:
        ticks.current().stop()

    def terminate(self, parent: Any) -> None:
        self.stop(parent)
