"""Processes that are killed and frozen."""

import os
import signal
from contextlib import suppress
from typing import ClassVar

from tests.chaos.faults.fault import Fault
from tests.integration.spine import SERVICES

SILENT = ("probe:", "poll:", "owed:", "pool:", "canary", "services", "service:", "alerts", "timers", "health")


class KillService(Fault):
    """kill -9 of one service and all that it runs."""

    service: ClassVar[str]

    def inject(self) -> None:
        self.stage.signal(self.service, signal.SIGKILL, family=True)


class FreezeService(Fault):
    """SIGSTOP of a service's process; what it has started goes on."""

    service: ClassVar[str]
    lasts = (3.0, 9.0)
    alarms = SILENT

    def inject(self) -> None:
        self.pid = self.stage.pid(self.service)
        os.kill(self.pid, signal.SIGSTOP)

    def lift(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGCONT)


class FreezeWorkerLong(FreezeService):
    """A worker that is frozen for much longer than its leases while its actions go on."""

    name = "freeze-worker-40s"
    service = "worker"
    lasts = (40.0, 45.0)
    short = False


class KillWorkerChild(Fault):
    """kill -9 of a process that the worker has started: an action, or what guards it."""

    name = "kill-worker-child"

    def inject(self) -> None:
        self.load.once("ch.marked", 3)
        children = self.stage.children("worker")
        if children:
            with suppress(ProcessLookupError):
                os.kill(self.random.choice(children), signal.SIGKILL)


def _of_each(kind: type[Fault], verb: str) -> list[type[Fault]]:
    return [
        type(f"{kind.__name__}{service.title()}", (kind,), {"name": f"{verb}-{service}", "service": service})
        for service in SERVICES
    ]


for _kind in (FreezeService,):
    _kind.alarms = (*SILENT, "unreachable")
FAULTS = [
    *_of_each(KillService, "kill"),
    *_of_each(FreezeService, "freeze"),
    FreezeWorkerLong,
    KillWorkerChild,
]
