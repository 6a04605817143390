"""What the executor does by the clock: everything that falls due is a column that it looks through.

None of it is a repair. Each look stands alone, so that one that fails does not hold up the others.
"""

import time
from collections.abc import Callable

from django.conf import settings
from django.db import connection, transaction

from attune_project.messaging.ticker import every
from attune_project.packs import workers
from executions import lifecycle
from executions.artifacts import retention
from executions.policies import groups

BATCH = 200
IDLE_SECONDS = 3600.0  # after which the row of an unused policy group goes
# After an outage workers get this long to renew their leases and to store what ended meanwhile.
GRACE_SECONDS = 5.0


class Watch:
    """Since when this process has looked without a gap: an outage must not be taken for lost workers.

    Leases outlive a gap of half their length, so a shorter one is none.
    """

    def __init__(self) -> None:
        self._since: float | None = None
        self._last = 0.0

    def seconds(self) -> float:
        """Note a look that could be made; return for how long there was no gap before it."""
        now = time.monotonic()
        if self._since is None or now - self._last > settings.ATTUNE_LEASE_SECONDS / 2:
            self._since = now
        self._last = now
        return now - self._since


_watch = Watch()


@every(0.5, services=("executor",), thread="clock")
def admit_due() -> None:
    """Schedule what has waited for its time."""
    _drain(lifecycle.admit)


@every(0.5, services=("executor",), thread="policies")
def admit_by_policies() -> None:
    """Let in what waits for policies and may start by now; end what has waited for too long."""
    _drain(lifecycle.reassign)
    _drain(lifecycle.join_queues)
    _drain(lifecycle.expire_waiting)
    while lifecycle.admit_waiting():
        pass


@every(60, services=("executor",), thread="policies")
def forget_idle_groups() -> None:
    with transaction.atomic():
        groups.drop_idle(IDLE_SECONDS, BATCH)


@every(0.5, services=("executor",), thread="clock")
def expire_leases() -> None:
    """Take back what lost workers ran, once it is sure that they could have renewed their leases."""
    if _look() >= GRACE_SECONDS:
        _drain(lifecycle.expire)


@every(5, services=("executor",), thread="clock")
def explain_waiting() -> None:
    """Say what waits for which worker, once it is sure that the workers could have shown themselves."""
    if _look() >= GRACE_SECONDS:
        _drain(lifecycle.explain_waiting)


@every(5, services=("executor",), thread="clock")
def fail_unplaceable() -> None:
    """Fail what no worker can run; this process must have seen for itself that none came."""
    if _look() >= settings.ATTUNE_NO_WORKER_SECONDS:
        _drain(lifecycle.fail_unplaceable)


@every(15, services=("executor",), thread="retention")
def expire_artifacts() -> None:
    """Delete artifacts and versions whose time is over, few at once: each may have a large content."""
    while retention.expire(retention.BATCH) >= retention.BATCH:
        pass


@every(600, services=("executor",), thread="clock")
def forget_workers() -> None:
    """Delete the rows of worker processes that ended a day ago: each restart leaves one."""
    workers.forget_ended()


def _look() -> float:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")  # without the database it was no look
    return _watch.seconds()


def _drain(step: Callable[[int], int]) -> None:
    while step(BATCH) >= BATCH:
        pass
