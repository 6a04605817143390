"""Attune as a state machine: processes do the product's own steps, and whatever may happen happens between.

There is no broker: rings are a list, from which they are delivered in any order, late, twice or never.
Worker processes keep in memory what they claimed, lose it when they die, and may go on after their lease.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import hypothesis.strategies as st
from celery.exceptions import Reject
from django.db import InterfaceError, OperationalError
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from attune_project.console.retention import sweeping
from attune_project.messaging import dispatch, polls, publisher, steps
from attune_project.messaging.publisher import Letter
from executions import lifecycle
from executions.lifecycle import Claimant, Claimed, Ended
from executions.lifecycle.completing import Completed
from sensors import timers
from sensors.recording import NewEvent, Recorded, record_events
from tests.simulation import account, world
from tests.simulation.looking import broken
from tests.simulation.stage import Actor, Stage, fault_points, here

SLOTS = 3
MOST_STOPPED = 3
WORKERS = 2
ROUNDS = 40
LONGER_THAN_A_LEASE = 400  # seconds; than any pause before a retry, too
CLOCK: dict[str, Callable[[int], int]] = {
    "admit": lifecycle.admit,
    "expire": lifecycle.expire,
    "reassign": lifecycle.reassign,
    "join_queues": lifecycle.join_queues,
    "admit_waiting": lifecycle.admit_waiting,
    "expire_waiting": lifecycle.expire_waiting,
}
CUT = (OperationalError, InterfaceError)
triggers = st.sampled_from(sorted(world.FOLLOWS))
which = st.integers(0, 5)
ends = st.sampled_from(["completed", "completed", "failed", "timeout"])
pauses = st.sampled_from([0, 0, 0, 1, 2, 3, 4, 5, 7, 9, 12])


@dataclass
class Host:
    """A worker process: what it runs is in its memory only."""

    number: int
    id: int
    runs: list[Claimed] = field(default_factory=list)
    alive: bool = True

    @property
    def claimant(self) -> Claimant:
        return Claimant(self.id)

    def take(self, limit: int) -> int:
        """Do what a worker does when it is rung: run what ends at once, claim the rest under leases."""
        done = self._instantly(limit)
        free = min(limit, SLOTS - len(self.runs))
        claimed = lifecycle.claim(self.claimant, free, world.INSTANT, inline=False) if free > 0 else []
        if done.left:
            claimed += lifecycle.claim(self.claimant, 1, world.INSTANT, inline=True)
        self.runs += claimed
        return done.count

    def _instantly(self, limit: int) -> Completed:
        return lifecycle.complete(self.claimant, limit, world.INSTANT, _run_at_once)


def _run_at_once(claimed: Claimed) -> Ended:
    status = "failed" if claimed.config.get("n") == 1 else "completed"
    return Ended(claimed.id, claimed.token, status, {"exit_code": 0})


class Machine(RuleBasedStateMachine):
    """One run, from an empty database until nothing is owed."""

    def __init__(self) -> None:
        super().__init__()
        world.clean()
        self.rings: list[Letter] = []
        self.accepted: dict[int, NewEvent] = {}
        self.taken: list[account.Taken] = []  # every end of which a worker was told that it was taken
        self.over: set[int] = set()  # events that had come to their end when they grew old
        self.started = 0
        self.stage = Stage()
        self._publisher = publisher.use(self)
        self._points = fault_points(self.stage)
        self._points.__enter__()
        self.hosts = [self._host() for _ in range(WORKERS)]

    def send(self, letter: Letter) -> None:
        """Be the publisher: a ring goes nowhere before it is delivered."""
        self.rings.append(letter)

    def _host(self) -> Host:
        self.started += 1
        return Host(self.started, world.new_worker(self.started))

    # --- what processes do

    @initialize(
        reports=st.lists(st.tuples(st.sampled_from(sorted(world.FOLLOWS)), st.integers(0, 3)), min_size=2)
    )
    def begin(self, reports: list[tuple[str, int]]) -> None:
        for trigger, n in reports:
            self.report(trigger, [None], n, 0)
        self.everybody_polls()

    @rule()
    def everybody_polls(self) -> None:
        """Some seconds without a fault."""
        self._all_poll(range(WORKERS))

    def _all_poll(self, hosts: Iterable[int]) -> None:
        for look in ("expire", "admit", "join_queues", "admit_waiting"):
            self.look(look, 0)
        for step in ("match", "enforce"):
            self.poll(step, 0, 0)
        for host in hosts:
            self.poll("run", host, 0)
        self.poll("settle", 0, 0)

    @rule(
        trigger=triggers,
        keys=st.lists(st.sampled_from([None, None, "a", "b"]), min_size=1, max_size=3),
        n=st.integers(0, 3),
        pauses=pauses,
    )
    def report(self, trigger: str, keys: list[str | None], n: int, pauses: int) -> None:
        """Somebody tells of events, under dedup keys or without."""
        events = [NewEvent(trigger, {"n": n}, dedup_key=key) for key in keys]
        self._do("web", lambda: self._record(events), pauses)

    def _record(self, events: list[NewEvent]) -> None:
        for event, outcome in zip(events, record_events(events), strict=True):
            assert isinstance(outcome, Recorded), outcome
            self.accepted.setdefault(outcome.id, event)

    @precondition(lambda self: self.rings)
    @rule(ring=which, again=st.booleans(), host=which, pauses=pauses)
    def deliver(self, ring: int, again: bool, host: int, pauses: int) -> None:
        """A ring arrives, perhaps for the first time of several."""
        letter = self.rings[ring % len(self.rings)]
        if not again:
            self.rings.remove(letter)
        self._consume(letter, self.hosts[host % WORKERS], pauses)

    @precondition(lambda self: self.rings)
    @rule(ring=which)
    def lose(self, ring: int) -> None:
        """The broker loses a ring."""
        del self.rings[ring % len(self.rings)]

    @rule(step=st.sampled_from(["match", "enforce", "settle", "run"]), host=which, pauses=pauses)
    def poll(self, step: str, host: int, pauses: int) -> None:
        self._poll(step, self.hosts[host % WORKERS], pauses)

    @rule(look=st.sampled_from(sorted(CLOCK)), pauses=pauses)
    def look(self, look: str, pauses: int) -> None:
        """The executor's clock looks at what falls due."""
        self._do("executor", lambda: CLOCK[look](2), pauses)

    @rule(pauses=pauses)
    def beat(self, pauses: int) -> None:
        """A beat fires timers, whether or not it leads."""
        self._do("beat", timers.fire_due, pauses)

    @precondition(lambda self: any(host.runs for host in self.hosts))
    @rule(host=which, statuses=st.lists(ends, min_size=1, max_size=SLOTS), pauses=pauses)
    def finish(self, host: int, statuses: list[str], pauses: int) -> None:
        """Runs end, perhaps long after their leases, and are stored together."""
        owner = self._running(host)
        runs = owner.runs[: len(statuses)]
        del owner.runs[: len(statuses)]
        self._do("worker", lambda: self._finish(runs, statuses), pauses, owner)

    def _finish(self, runs: list[Claimed], statuses: list[str]) -> None:
        """Store ends; note those that were taken, but where it can't be told which of an execution's was."""
        ended = list(zip(runs, statuses, strict=False))
        taken = lifecycle.finish(
            [Ended(run.id, run.token, status, {"exit_code": 0}) for run, status in ended]
        )
        twice = {run.id for run in runs if [one.id for one in runs].count(run.id) > 1}
        self.taken += [
            (run.id, run.attempt, status) for run, status in ended if run.id in taken and run.id not in twice
        ]

    @precondition(lambda self: any(host.runs for host in self.hosts))
    @rule(host=which, heeds=st.booleans(), pauses=pauses)
    def heartbeat(self, host: int, heeds: bool, pauses: int) -> None:
        """A worker renews its leases; one that was frozen doesn't heed what it hears."""
        owner = self._running(host)
        tokens = [run.token for run in owner.runs]
        self._do("worker", lambda: self._renew(owner, tokens, heeds), pauses, owner)

    def _renew(self, host: Host, tokens: list[Any], heeds: bool) -> None:
        held = lifecycle.renew(host.id, tokens)
        if heeds:
            host.runs[:] = [run for run in host.runs if run.token in held or run.token not in tokens]

    @precondition(lambda self: any(host.runs for host in self.hosts))
    @rule(host=which, pauses=pauses)
    def hand_back(self, host: int, pauses: int) -> None:
        """A worker can't begin what it claimed."""
        owner = self._running(host)
        run = owner.runs.pop()
        self._do("worker", lambda: lifecycle.hand_back(run.id, run.token, "no thread"), pauses, owner)

    @rule(execution=st.integers(1, 12), pauses=pauses)
    def cancel(self, execution: int, pauses: int) -> None:
        self._do("web", lambda: lifecycle.cancel(execution, None, "enough"), pauses)

    @rule(pauses=pauses)
    def retention(self, pauses: int) -> None:
        """History is deleted, as far as it is old."""
        self._do("executor", _sweep, pauses)

    # --- what befalls them

    @precondition(lambda self: self.stage.stopped)
    @rule(actor=which, pauses=pauses)
    def resume(self, actor: int, pauses: int) -> None:
        self._ended(self.stage.resume(self._stopped(actor), pauses))

    @precondition(lambda self: self.stage.stopped)
    @rule(actor=which)
    def kill(self, actor: int) -> None:
        """A process is killed between two lines; a worker's memory goes with it."""
        victim = self._stopped(actor)
        self._ended(self.stage.kill(victim))

    @precondition(lambda self: self.stage.stopped)
    @rule(actor=which)
    def cut(self, actor: int) -> None:
        """The database ends a connection."""
        victim = self._stopped(actor)
        if victim.pid is not None:
            self._ended(self.stage.cut(victim))

    @precondition(lambda self: any(host.runs for host in self.hosts))
    @rule(host=which, in_order=st.booleans(), late=st.booleans())
    def lose_worker(self, host: int, in_order: bool, late: bool) -> None:
        """A worker ends while all it does is run actions, with a word or without; another takes its place."""
        owner = self._running(host)
        if in_order and not self.stage.stopped:
            lifecycle.release(owner.id)
        self._lose(owner)
        if late:
            world.pass_time(LONGER_THAN_A_LEASE)
            self._all_poll(range(WORKERS))

    @precondition(lambda self: any(host.runs for host in self.hosts))
    @rule(host=which)
    def freeze_worker(self, host: int) -> None:
        """A worker stands still until its leases are over, and the others go on."""
        frozen = self._running(host)
        world.pass_time(LONGER_THAN_A_LEASE)
        self._all_poll(place for place, one in enumerate(self.hosts) if one is not frozen)

    @rule(seconds=st.sampled_from([1, 11, LONGER_THAN_A_LEASE]))
    def time_passes(self, seconds: int) -> None:
        world.pass_time(seconds)

    @precondition(lambda self: not self.stage.stopped)
    @rule()
    def history_grows_old(self) -> None:
        self.over |= account.events_over()
        world.grow_old()

    # --- what must hold

    @invariant()
    def nothing_is_broken(self) -> None:
        """Whatever holds at every moment holds now: only what must come in time may be outstanding."""
        assert broken() == {}
        assert not self.stage.deadlocks, self.stage.deadlocks

    def teardown(self) -> None:
        try:
            while self.stage.stopped:
                self._ended(self.stage.resume(self.stage.stopped[0], 0))
            self._quiesce()
            self.nothing_is_broken()
            assert broken(seconds=0) == {}
            account.settle_up(self.accepted, self.taken, self.over)
        finally:
            self._close()

    def _quiesce(self) -> None:
        """Lose every ring and every worker, then let time pass and polls find what is owed."""
        self.rings.clear()
        for host in list(self.hosts):
            self._lose(host)
        for _ in range(ROUNDS):
            world.pass_time(1000, timers=False)
            self._do("beat", timers.fire_due, 0)
            for look in ("expire", "reassign", "join_queues", "admit", "admit_waiting", "expire_waiting"):
                self._do("executor", lambda look=look: CLOCK[look](100), 0)
            for step in ("match", "enforce", "run", "settle"):
                self._poll(step, self.hosts[0], 0)
            while self.hosts[0].runs:
                self.finish(0, ["completed"] * SLOTS, 0)
            self.rings.clear()
            if not account.owed():
                return
        raise AssertionError(f"this is still owed: {account.owed()}")

    def _close(self) -> None:
        while self.stage.stopped:
            self.stage.kill(self.stage.stopped[0])
        self._points.__exit__(None, None, None)
        publisher.use(self._publisher)
        self.stage.close()

    # --- the machinery

    def _do(self, service: str, work: Callable[[], Any], pauses: int, host: Host | None = None) -> None:
        if self.stage.full:
            return
        actor = Actor(service, service, work, pauses)
        actor.host = host  # type: ignore[attr-defined]
        self._ended(self.stage.start(actor))

    def _consume(self, letter: Letter, host: Host, pauses: int) -> None:
        message = letter.message
        request = SimpleNamespace(
            headers={},
            delivery_info={"exchange": message.exchange, "routing_key": message.routing_key},
        )
        owner = host if message.consumer == "worker" else None
        self._do(message.consumer, lambda: dispatch.dispatch(message, request, letter.ids), pauses, owner)

    def _poll(self, step: str, host: Host, pauses: int) -> None:
        owed = next(one for one in steps.every() if one.name == step)
        owner = host if owed.service == "worker" else None
        self._do(owed.service, lambda: polls.poll(owed, older_than=0), pauses, owner)

    def _stopped(self, number: int) -> Actor:
        return self.stage.stopped[number % len(self.stage.stopped)]

    def _running(self, number: int) -> Host:
        running = [host for host in self.hosts if host.runs]
        return running[number % len(running)]

    def _lose(self, host: Host) -> None:
        host.alive = False
        host.runs.clear()
        self.hosts[self.hosts.index(host)] = self._host()

    def _ended(self, over: list[Actor]) -> None:
        """Look at those that have ended: only what was done to them may have failed them."""
        for actor in over:
            host: Host | None = actor.host  # type: ignore[attr-defined]
            if actor.killed and host is not None and host.alive:
                self._lose(host)
            lawful = actor.killed or (actor.cut and isinstance(actor.error, (*CUT, Reject)))
            if actor.error is not None and not lawful:
                raise AssertionError(f"{actor.name} at {actor.at}") from actor.error


def _sweep() -> None:
    try:
        for _ in sweeping.sweep(once=True, pause=0):
            pass
    except sweeping.Busy:
        pass


def take_here(limit: int) -> int:
    """Be the verb of the step `run`: the worker that this thread belongs to takes."""
    host: Host = here().host  # type: ignore[attr-defined]
    return host.take(limit)
