"""One worker process: its row, its heartbeat, its claims."""

import json
import os
import socket
import threading
import time
import uuid

import structlog
from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from attune_project.messaging import steps
from attune_project.messaging.consuming import consuming
from attune_project.messaging.publisher import Letter, publisher
from attune_project.messaging.ticker import every
from attune_project.messaging.topology import EXECUTION_REQUESTED
from attune_project.packs.models import Worker, WorkerStatus
from executions import lifecycle
from executions.lifecycle import Claimant
from executions.runners import RUNNERS, Control, RunnerSettings, sweep
from executions.runners.builtin.runner import INLINE
from executions.runners.builtin.ssrf import parse_allowed
from executions.worker.jobs import perform, runner_settings
from executions.worker.results import store_soon
from executions.worker.slots import Slots

log = structlog.get_logger(__name__)
INLINE_BATCH = 200
FILL_SECONDS = 0.25  # to look for what needs a slot is to go through the whole backlog of what needs none
LEASE_MARGIN = 5.0  # an action whose lease can't be renewed is killed this long before its end


class WorkerProcess:
    """Claims as many scheduled executions as it has free slots, and the instant ones in bulk."""

    def __init__(self, host: RunnerSettings | None = None, slots: int | None = None) -> None:
        self._host = host or runner_settings()
        self.slots = Slots(slots or settings.ATTUNE_WORKER_SLOTS, self._host, self.fill_slots)
        self.draining = False
        self.cordoned = False
        self._ended = False
        self._fill_at = 0.0
        self._pulse = threading.Lock()
        self._mind = threading.Lock()
        self._row = self._register()
        self._claimant = Claimant(self._row.pk, self._row.pool, json.dumps(self._row.capabilities["labels"]))

    @property
    def worker_id(self) -> int:
        return int(self._row.pk)

    def _register(self) -> Worker:
        name = f"worker-{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        return Worker.objects.create(
            name=name,
            pool=settings.ATTUNE_WORKER_POOL or None,
            host=socket.gethostname(),
            capabilities={
                "runtimes": sorted(RUNNERS),
                "labels": settings.ATTUNE_WORKER_LABELS,
                "slots": self.slots.size,
            },
            meta={"pid": os.getpid()},
            last_heartbeat=Now(),
        )

    def take(self, limit: int) -> int:
        """Do the step `run`: the instant executions in bulk, then what the free slots can hold.

        Returns `limit` when there may be more that this process could do at once.
        """
        if self.draining:
            return 0
        instant = self.run_instant(min(limit, INLINE_BATCH))
        more = instant == min(limit, INLINE_BATCH)
        if more and time.monotonic() < self._fill_at:
            return limit
        slotted = self.fill_slots()
        self._fill_at = time.monotonic() + FILL_SECONDS
        if not self.slots.free:
            self.pass_on()
        if more:
            return limit
        if self._is_beside_our_labels():
            steps.note_full_claim("run")  # it waits for the poll of a worker that has them: no repair
        return instant + slotted

    def run_instant(self, limit: int) -> int:
        """Claim and run builtin actions that end at once: one statement to claim, one for the results."""
        claimed = lifecycle.claim(self._claimant, limit, instant_entrypoints(), inline=True)
        store_soon([perform(one, Control(), self._host) for one in claimed])
        return len(claimed)

    def run_instant_while_full(self) -> None:
        """Run what needs no slot, though this process consumes nothing while its slots are taken."""
        if self.draining or self.slots.free:
            return
        while self.run_instant(INLINE_BATCH) == INLINE_BATCH:
            pass

    def fill_slots(self) -> int:
        """Claim for every free slot; return how many executions were started."""
        if self.draining:
            return 0
        reserved = self.slots.reserve()
        claimed: list[lifecycle.Claimed] = []
        until = time.monotonic() + settings.ATTUNE_LEASE_SECONDS
        try:
            if reserved:
                claimed = lifecycle.claim(self._claimant, reserved, instant_entrypoints(), inline=False)
        finally:
            self.slots.fill(reserved, claimed, until)
            self._mind_consuming()
        return len(claimed)

    def _mind_consuming(self) -> None:
        """Consume while there is a free slot. Asked at each change and at each heartbeat, from any thread."""
        with self._mind:
            if self.slots.busy < self.slots.size and not self.cordoned:
                consuming.resume()
            else:
                consuming.pause()

    def pass_on(self) -> None:
        """Ring for whoever has a free slot, if there is more to run than this process can take.

        What waits for a slot waits by design, so polls are told that this step is behind.
        """
        waiting = self._waiting_ids()
        if waiting:
            steps.note_full_claim("run")
            publisher().send(Letter(EXECUTION_REQUESTED, waiting, self._row.pool))

    def _is_beside_our_labels(self) -> bool:
        """Return whether something waits in our pool for labels that we lack: its message came to us."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT EXISTS (SELECT 1 FROM execution WHERE status = 'scheduled'"
                " AND worker_pool IS NOT DISTINCT FROM %s"
                " AND NOT COALESCE(worker_selector, '{}') <@ %s::jsonb)",
                [self._claimant.pool, self._claimant.labels],
            )
            return bool(cursor.fetchone()[0])

    def _waiting_ids(self) -> list[int]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT id FROM execution WHERE status = 'scheduled' AND worker_pool IS NOT DISTINCT FROM %s"
                " ORDER BY id LIMIT 100",
                [self._row.pool],
            )
            return [row[0] for row in cursor.fetchall()]

    def heartbeat(self) -> None:
        """Renew the leases, learn of cancels, and say that this process lives."""
        with self._pulse:
            if self._ended:
                return
            self._renew()
            self._beat(WorkerStatus.ACTIVE if self.slots.free else WorkerStatus.BUSY)
        if not self.draining:
            self._mind_consuming()
        if not self.slots.free:
            steps.note_full_claim("run")

    def _renew(self) -> None:
        """Renew what the slots hold now: what is claimed in the meantime has a fresh lease.

        An answer that was long on its way may have renewed what was killed meanwhile: that is given back.
        """
        asked = self.slots.tokens()
        until = time.monotonic() + settings.ATTUNE_LEASE_SECONDS
        leases = lifecycle.renew(self.worker_id, asked)
        self.slots.apply(asked, leases, until)
        gone = set(leases) - set(self.slots.tokens())
        if gone:
            lifecycle.release(self.worker_id, gone)

    def fence(self) -> None:
        """Kill what nobody can renew any more, before its lease ends: without asking the database."""
        self.slots.fence(min(LEASE_MARGIN, settings.ATTUNE_LEASE_SECONDS / 4))

    def _beat(self, status: WorkerStatus) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE worker SET last_heartbeat = clock_timestamp(), status = %s, updated = now(),"
                " meta = meta || jsonb_build_object('running', %s) WHERE id = %s RETURNING cordoned",
                [status.value, self.slots.busy, self._row.pk],
            )
            row = cursor.fetchone()
        if row is None:
            log.error("this worker's row is gone; it claims nothing", worker=self._row.name)
        self.cordoned = row is None or bool(row[0])

    def stop(self) -> None:
        """Stop claiming, wait for what runs, then kill it and hand it back as a lost worker's."""
        self.draining = True
        if not self.slots.wait(settings.ATTUNE_DRAIN_SECONDS):
            self.slots.stop_all()
            self.slots.wait(self._host.kill_grace + 2)
        with self._pulse:  # no heartbeat may come after and renew what is handed back
            self._ended = True
            lifecycle.release(self.worker_id)
            self._beat(WorkerStatus.INACTIVE)


def instant_entrypoints() -> list[str]:
    """Return the builtin entrypoints that a worker may run in place, in both of their spellings."""
    return sorted(INLINE | {name.removeprefix("core.") for name in INLINE})


_process: WorkerProcess | None = None


def start() -> WorkerProcess:
    """Make this process's worker."""
    global _process  # noqa: PLW0603 (one per process)
    parse_allowed(tuple(settings.ATTUNE_HTTP_ALLOW))  # a bad entry is refused here, not at each request
    sweep(None)
    _process = WorkerProcess()
    return _process


def current() -> WorkerProcess:
    if _process is None:
        raise LookupError("this process is not a worker")
    return _process


def take(limit: int) -> int:
    return current().take(limit)


def waits_by_design() -> bool:
    """No free slot: what is scheduled waits for one."""
    return _process is None or _process.draining or not _process.slots.free


@every(lambda: float(settings.ATTUNE_POLL_SECONDS), services=("worker",), thread="polls")
def look_for_instant() -> None:
    if _process is not None and settings.ATTUNE_POLLS:
        _process.run_instant_while_full()


@every(0.5, services=("worker",), thread="fence")
def fence() -> None:
    if _process is not None:
        _process.fence()


@every(lambda: float(settings.ATTUNE_HEARTBEAT_SECONDS), services=("worker",), thread="leases")
def heartbeat() -> None:
    if _process is not None:
        _process.heartbeat()
