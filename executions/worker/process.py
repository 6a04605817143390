"""One worker process: its row, its heartbeat, its claims."""

import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.db.models.functions import Now

from attune_project.faults import fault
from attune_project.messaging import steps
from attune_project.messaging.consuming import consuming
from attune_project.packs.models import Worker, WorkerStatus
from executions import lifecycle
from executions.runners import Control, NotAWorker, RunnerSettings
from executions.runners.builtin.runner import INLINE
from executions.worker import heart
from executions.worker.jobs import perform, runner_settings
from executions.worker.offering import Offering
from executions.worker.passing import Passing
from executions.worker.results import store_soon
from executions.worker.sandbox import margin
from executions.worker.scaling import Bounds, Scaling, load_per_core, resident_mb
from executions.worker.slots import Room, Slots

log = structlog.get_logger(__name__)
INLINE_BATCH = 500
# The builtin entrypoints that a worker may run in place, in both of their spellings.
INSTANT = sorted(INLINE | {name.removeprefix("core.") for name in INLINE})
FILL_SECONDS = 0.25  # to look for what needs a slot is to go through the whole backlog of what needs none


class WorkerProcess:
    """Claims as many scheduled executions as it has free slots, and the instant ones in bulk."""

    def __init__(
        self,
        host: RunnerSettings | None = None,
        slots: Bounds | None = None,
        inside: int | None = None,
        sandbox: Mapping[str, object] | None = None,
    ) -> None:
        self._host = host or runner_settings()
        self._sandbox = sandbox or {"mode": self._host.sandbox.mode}
        bounds = slots or Bounds(*settings.ATTUNE_WORKER_SLOTS)
        self.scaling = Scaling(bounds)
        room = Room(bounds.least, inside or settings.ATTUNE_WORKER_BUILTIN_SLOTS)
        self.slots = Slots(room, self._host, self.fill_slots)
        self.offering = Offering(self._host)
        self.draining = False
        self.cordoned = False
        self.others = False  # whether another worker of our pool takes messages, too
        self.leave: Callable[[], object] = _ask_to_stop
        self._ended = False
        self._fill_at = 0.0
        self._pulse = threading.Lock()
        self._mind = threading.Lock()
        self._row = self._register()
        self._passing = Passing(self._row.pool)
        self.look_at_offers()

    @property
    def worker_id(self) -> int:
        return int(self._row.pk)

    def _register(self) -> Worker:
        name = f"worker-{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        return Worker.objects.create(
            name=name,
            pool=settings.ATTUNE_WORKER_POOL or None,
            host=socket.gethostname(),
            capabilities=self._capabilities(),
            meta={"pid": os.getpid()},
            last_heartbeat=Now(),
        )

    def _capabilities(self) -> dict[str, object]:
        bounds, size = self.scaling.bounds, self.slots.size
        return {
            **self.offering.capabilities(),
            "slots": size.process,
            "slots_min": bounds.least,
            "slots_max": bounds.most,
            "builtin_slots": size.inside,
            "sandbox": self._sandbox,
        }

    def look_at_offers(self) -> bool:
        """Look again at what this host can run; return whether that has changed."""
        changed = self.offering.refresh()
        self._claimant = self.offering.claimant(self.worker_id)
        return changed

    def take(self, limit: int) -> int:
        """Do the step `run`: the instant executions in bulk, then what the free slots can hold.

        Returns `limit` when there may be more that this process could do at once.
        """
        if self.draining or self.cordoned:
            self._pass_on()
            return 0
        most = min(limit, INLINE_BATCH)
        instant, others = self._run_instant(most)
        if not others:
            return instant
        more = instant >= most
        if more and time.monotonic() < self._fill_at:
            return limit
        slotted = self.fill_slots()
        self._fill_at = time.monotonic() + FILL_SECONDS
        return limit if self._pass_on() or more else instant + slotted

    def _run_instant(self, limit: int) -> tuple[int, bool]:
        """Run builtin actions that end at once, in bulk: one statement to take them, one for the results.

        Return how many that were, and whether anything else may wait in the pool.
        """
        try:
            done = lifecycle.complete(self._claimant, limit, INSTANT, self._perform)
        except (NotAWorker, OperationalError, InterfaceError):
            raise
        except Exception as problem:  # one of the results is refused: each is stored as far as it can be
            log.warning("results refused", error=str(problem))
            return self._run_under_leases(limit), True
        left = self._run_under_leases(done.left) if done.left else 0
        return done.count + left, done.more or left < done.left

    def _run_under_leases(self, limit: int) -> int:
        claimed = lifecycle.claim(self._claimant, limit, INSTANT, inline=True)
        store_soon([self._perform(one) for one in claimed])
        return len(claimed)

    def _perform(self, claimed: lifecycle.Claimed) -> lifecycle.Ended:
        return perform(claimed, Control(), self._host)

    def work_while_full(self) -> None:
        """Do what doesn't need the kind of slot that is taken whole: messages may be left to others now."""
        if self.draining or not self.slots.full:
            return
        while self._run_instant(INLINE_BATCH)[0] >= INLINE_BATCH:
            pass
        if self.slots.free:
            self.fill_slots()

    def fill_slots(self) -> int:
        """Claim for every free slot; return how many executions were started."""
        if self.draining:
            return 0
        reserved = self.slots.reserve()
        claimed: list[lifecycle.Claimed] = []
        until = time.monotonic() + settings.ATTUNE_LEASE_SECONDS
        try:
            if reserved:
                claimed = lifecycle.claim(
                    self._claimant, reserved.process, INSTANT, inline=False, inside=reserved.inside
                )
            if claimed:
                fault("claim.before_start")
        finally:
            self.slots.fill(reserved, claimed, until)
            self._mind_consuming()
        return len(claimed)

    def _mind_consuming(self) -> None:
        """Leave messages to others while a kind of slot is taken whole, or nothing new is to be taken. Asked
        at each change and at each heartbeat, from any thread.

        A process that is alone in its pool goes on: nobody else would do what it can, or answer probes.
        """
        with self._mind:
            if self.others and (self.cordoned or self.draining or self.slots.full):
                consuming.pause()
            else:
                consuming.resume()

    def _pass_on(self) -> bool:
        """Ring for whoever can run what this process can't, now or at all; return whether this one can now.

        What waits for a slot or for another worker waits by design, so polls are told that this step is
        behind.
        """
        if self.slots.full or self.draining or self.cordoned:
            waiting = self._passing.waiting()
        else:
            waiting = self._passing.beside(self._claimant)
            if waiting and self.look_at_offers():  # a requirement or a pack that it hadn't seen yet
                return True
        if waiting:
            steps.note_full_claim("run")
            if self.others:
                self._passing.on(waiting)
        return False

    def adapt(self) -> None:
        """Have more or fewer process slots, within the bounds of this worker."""
        if self.scaling.bounds.fixed or self.draining:
            return
        size, busy = self.slots.size.process, self.slots.busy.process
        waiting = busy >= size and bool(self._passing.waiting())
        wanted = self.scaling.wanted(size, busy, waiting, load_per_core(), time.monotonic())
        if wanted != size:
            self.slots.resize(wanted)
            self.fill_slots()

    def heartbeat(self) -> None:
        """Renew the leases, learn of cancels and of what operators want, and say that this process lives."""
        with self._pulse:
            if self._ended:
                return
            self._renew()
            was_cordoned = self.cordoned
            self._beat(WorkerStatus.BUSY if self.slots.full else WorkerStatus.ACTIVE)
        self._mind_memory()
        self._mind_consuming()
        if self.slots.full:
            steps.note_full_claim("run")
        if was_cordoned and not self.cordoned:
            self.take(steps.BATCH)
        if self.draining and self.slots.idle:
            log.info("this worker has drained and ends", worker=self._row.name)
            self.leave()

    def _renew(self) -> None:
        """Renew what the slots hold now: what is claimed in the meantime has a fresh lease.

        An answer that was long on its way may have renewed what was killed meanwhile: that is given back.
        """
        asked = self.slots.tokens()
        until = time.monotonic() + settings.ATTUNE_LEASE_SECONDS
        leases = lifecycle.renew(self.worker_id, asked)
        if leases:
            fault("lease.after_renewal")
        self.slots.apply(asked, leases, until)
        gone = set(leases) - set(self.slots.tokens())
        if gone:
            lifecycle.release(self.worker_id, gone)

    def look_for_cancels(self) -> None:
        """Stop what is to stop, sooner than by the next heartbeat."""
        self.slots.cancel(lifecycle.cancelled(self.worker_id, self.slots.tokens()))

    def fence(self) -> None:
        """Kill what nobody can renew any more, before its lease ends: without asking the database."""
        self.slots.fence(margin())

    def _beat(self, status: WorkerStatus) -> None:
        meta = {"running": self.slots.busy.total, **({"draining": True} if self.draining else {})}
        wish = heart.beat(self.worker_id, status, meta, self._capabilities())
        if wish is None:
            log.error("this worker's row is gone; it claims nothing", worker=self._row.name)
        self.cordoned = wish is None or wish.cordoned
        self.others = wish is not None and wish.others
        if wish is not None and wish.drain:
            self.drain("it was asked to")

    def drain(self, reason: str) -> None:
        """Take nothing more, and end once everything that runs has ended."""
        if not self.draining:
            log.info("this worker drains", worker=self._row.name, reason=reason)
            self.draining = True

    def _mind_memory(self) -> None:
        most, now = settings.ATTUNE_WORKER_MAX_RSS_MB, resident_mb()
        if most and now > most:
            self.drain(f"it uses {now:.0f} MiB of memory, more than ATTUNE_WORKER_MAX_RSS_MB={most:g}")

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


def _ask_to_stop() -> None:
    """Stop this process as its supervisor would."""
    os.kill(os.getpid(), signal.SIGTERM)
