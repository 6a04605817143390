"""The worker process of this service: made once, ticked by the clock, asked by the step `run`."""

from dataclasses import asdict

import structlog
from django.conf import settings

from attune_project.messaging.ticker import every
from executions.artifacts import collecting
from executions.runners import sweep
from executions.runners.builtin.ssrf import parse_allowed
from executions.runners.proving import prove
from executions.worker.jobs import runner_settings
from executions.worker.process import WorkerProcess

log = structlog.get_logger(__name__)
FULL_SECONDS = 0.25  # between looks for what a full worker still can do
CANCEL_SECONDS = 0.5  # heartbeats bring cancels back, too, when this look is late
_process: WorkerProcess | None = None


def start() -> WorkerProcess:
    """Make this process's worker."""
    global _process  # noqa: PLW0603 (one per process)
    parse_allowed(tuple(settings.ATTUNE_HTTP_ALLOW))  # a bad entry is refused here, not at each request
    sweep(None)
    host = runner_settings()
    proven = prove(host)  # nothing may be claimed by a worker whose sandbox is none
    log.info("sandbox", sandbox=str(proven))
    _process = WorkerProcess(host, sandbox=asdict(proven))
    collecting.sweep(settings.ATTUNE_ARTIFACTS_DIR)
    return _process


def current() -> WorkerProcess:
    if _process is None:
        raise LookupError("this process is not a worker")
    return _process


def take(limit: int) -> int:
    return current().take(limit)


def waits_by_design() -> bool:
    """A kind of slot is taken whole: what is scheduled waits for one, and the rest is looked for anyhow."""
    return _process is None or _process.draining or _process.slots.full


@every(FULL_SECONDS, services=("worker",), thread="full")
def work_while_full() -> None:
    if _process is not None and settings.ATTUNE_POLLS:
        _process.work_while_full()


@every(FULL_SECONDS, services=("worker",), thread="full")
def adapt() -> None:
    if _process is not None:
        _process.adapt()


@every(lambda: float(settings.ATTUNE_POLL_SECONDS), services=("worker",), thread="offers")
def look_at_offers() -> None:
    if _process is not None:
        _process.look_at_offers()


@every(0.5, services=("worker",), thread="fence")
def fence() -> None:
    if _process is not None:
        _process.fence()


@every(CANCEL_SECONDS, services=("worker",), thread="full")
def look_for_cancels() -> None:
    if _process is not None:
        _process.look_for_cancels()


@every(lambda: float(settings.ATTUNE_HEARTBEAT_SECONDS), services=("worker",), thread="leases")
def heartbeat() -> None:
    if _process is not None:
        _process.heartbeat()
