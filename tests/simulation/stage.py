"""Threads that do the product's steps on connections of their own, and stop wherever they are told to.

A place to stop is every statement before it is sent, and every fault point. One actor runs at a time, until
it stops, ends, or waits for a lock that one that has stopped holds; so the same orders have the same course.
"""

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from django.db import connection, connections

from attune_project import faults

HANDS = 4
PATIENCE = 120.0  # seconds after which a run that goes on without an end is a failure
_WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND wait_event_type = 'Lock'
"""
_CUT = "SELECT pg_terminate_backend(%s, 5000)"
_here = threading.local()


class Killed(BaseException):
    """This process was killed here: what it had not committed is gone, and it does nothing more."""


@dataclass
class Actor:
    """One piece of work of one process."""

    name: str
    service: str
    work: Callable[[], Any]
    pauses: int  # stops at the so manieth place; 0: at none
    at: str = "start"
    value: Any = None
    error: BaseException | None = None
    over: bool = False
    killed: bool = False
    cut: bool = False
    pid: int | None = None
    orders: queue.SimpleQueue[int] = field(default_factory=queue.SimpleQueue)  # pauses; -1: be killed

    def stop_at(self, place: str, stage: "Stage") -> None:
        """Pass a place, or wait there for an order."""
        if self.killed:
            raise Killed
        self.pauses -= 1
        if self.pauses:
            return
        self.at = place
        stage.reports.put(self)
        order = self.orders.get()
        if order < 0:
            self.killed = True
            raise Killed
        self.pauses = order


class Stage:
    """The threads, and whoever stands still."""

    def __init__(self) -> None:
        self.reports: queue.SimpleQueue[Actor] = queue.SimpleQueue()
        self.stopped: list[Actor] = []
        self.deadlocks: list[str] = []
        self._busy: list[Actor] = []
        self._over: list[Actor] = []
        self._jobs: queue.SimpleQueue[Actor | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._loop, daemon=True) for _ in range(HANDS)]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join(PATIENCE)

    @property
    def full(self) -> bool:
        return len(self.stopped) + len(self._busy) >= HANDS

    def start(self, actor: Actor) -> list[Actor]:
        """Let it begin; return who has ended by the time that nobody moves."""
        return self._go_on(actor, lambda: self._jobs.put(actor))

    def resume(self, actor: Actor, pauses: int) -> list[Actor]:
        self.stopped.remove(actor)
        return self._go_on(actor, lambda: actor.orders.put(pauses))

    def kill(self, actor: Actor) -> list[Actor]:
        return self.resume(actor, -1)

    def cut(self, actor: Actor) -> list[Actor]:
        """End its connection, and let it go on."""
        actor.cut = True
        with connection.cursor() as cursor:
            cursor.execute(_CUT, [actor.pid])
        return self.resume(actor, 0)

    def _go_on(self, actor: Actor, order: Callable[[], None]) -> list[Actor]:
        self._busy.append(actor)
        order()
        self._wait()
        over, self._over = self._over, []
        return over

    def _wait(self) -> None:
        """Wait until everybody stands still, has ended, or waits for one that stands still."""
        looks = 0
        while self._busy:
            try:
                actor = self.reports.get(timeout=0.01)
            except queue.Empty:
                looks += 1
                assert looks < PATIENCE / 0.01, f"these go on without an end: {self._busy}"
                if self.stopped and self._waiting() >= len(self._busy):
                    return
                continue
            self._busy.remove(actor)
            (self._over if actor.over else self.stopped).append(actor)

    def _waiting(self) -> int:
        with connection.cursor() as cursor:
            cursor.execute(_WAITING)
            return int(cursor.fetchone()[0])

    def _loop(self) -> None:
        while (actor := self._jobs.get()) is not None:
            _here.actor = actor
            try:
                with connection.execute_wrapper(self._before_statement):
                    actor.value = actor.work()
            except Killed:
                actor.killed = True
            except BaseException as problem:
                actor.error = problem
            _here.actor = None
            if actor.error or actor.killed or actor.cut:
                connections.close_all()
            actor.over = True
            self.reports.put(actor)
        connections.close_all()

    def _before_statement(self, execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        actor: Actor = _here.actor
        actor.pid = connection.connection.info.backend_pid
        actor.stop_at(" ".join(str(sql).split())[:60], self)
        try:
            return execute(sql, params, many, context)
        except Exception as problem:
            if isinstance(problem.__cause__, psycopg.errors.DeadlockDetected):
                self.deadlocks.append(f"{actor.name}: {problem}")
            raise


def here() -> Actor:
    """Return the actor of this thread."""
    actor: Actor = _here.actor
    return actor


@contextmanager
def fault_points(stage: Stage) -> Iterator[None]:
    """Have actors of this stage stop at fault points, too."""
    passing, armed = faults._pass, dict(faults._armed)

    def pass_by(name: str) -> None:
        actor = getattr(_here, "actor", None)
        if actor is not None:
            actor.stop_at(name, stage)

    faults._pass = pass_by
    faults._armed.setdefault("simulation", [])
    try:
        yield
    finally:
        faults._pass = passing
        faults._armed.clear()
        faults._armed.update(armed)
