"""Many at once at the same database: requesters, executors, workers, and one who watches the slots."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import connection, connections

from attune_project.packs.models import Worker
from executions import clock, lifecycle
from executions.lifecycle import Claimant, Ended
from executions.models import Execution

DEADLINE = 240.0  # seconds: a hang becomes a failure, however slow the machine
_MOST_HELD = """
SELECT COALESCE(max(held - threshold), 0) FROM (
    SELECT p.threshold, count(*) AS held FROM policy_slot s JOIN policy p ON p.id = s.policy_id
    GROUP BY p.id, s.group_key) groups
"""


class Crowd:
    """Runs functions in threads of their own until the crowd is left, and keeps what they raise."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.problems: list[BaseException] = []
        self._threads: list[threading.Thread] = []

    def add(self, work: Callable[[], object], *, again: bool = True) -> None:
        """Start a member that does this again and again, or once."""
        thread = threading.Thread(target=self._run, args=(work, again), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _run(self, work: Callable[[], object], again: bool) -> None:
        try:
            while not self.ended.is_set():
                work()
                if not again:
                    return
        except BaseException as problem:
            self.problems.append(problem)
        finally:
            connections.close_all()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(DEADLINE)
        assert not any(thread.is_alive() for thread in self._threads), "somebody hangs"
        assert self.problems == []


@contextmanager
def crowd() -> Iterator[Crowd]:
    members = Crowd()
    try:
        yield members
    finally:
        members.ended.set()
        members.join()


def execute() -> None:
    """Do what an executor does, in a hurry."""
    lifecycle.settle(500)
    clock.admit_due()
    clock.admit_by_policies()


def worker() -> Callable[[], None]:
    """Return what a worker does: claim a few, and end them."""
    row = Worker.objects.create(name=f"w-{uuid.uuid4().hex[:8]}", capabilities={"labels": {}})

    def work() -> None:
        claimed = lifecycle.claim(Claimant(row.pk), 7, ["core.echo", "echo"], inline=True)
        lifecycle.finish([Ended(one.id, one.token, "completed", {"exit_code": 0}) for one in claimed])

    return work


class Watcher:
    """Looks again and again whether a group holds more slots than its policy has."""

    def __init__(self) -> None:
        self.most_over = 0
        self.looks = 0

    def __call__(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(_MOST_HELD)
            self.most_over = max(self.most_over, cursor.fetchone()[0])
        self.looks += 1


def wait_until(done: Callable[[], bool], problems: list[BaseException]) -> None:
    ends = time.monotonic() + DEADLINE
    while not done():
        assert problems == []
        assert time.monotonic() < ends, "it never came to be"
        time.sleep(0.05)


def all_ended(count: int) -> bool:
    return Execution.objects.filter(finished_at__isnull=False).count() == count
