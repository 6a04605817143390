"""What operators do to workers. A cordon holds from the next claim, a drain from the next heartbeat."""

from datetime import timedelta

from django.conf import settings
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from attune_project.identity.models import Identity

from .models import Worker, WorkerStatus
from .worker_state import with_state

GONE_FOR = timedelta(days=1)


class StillAlive(ValueError):
    """A worker that can't be forgotten: it lives."""


def cordon(worker: Worker, *, by: Identity | None, reason: str | None = None) -> None:
    """Let a worker take nothing new; what it runs goes on. Safe to repeat: the last reason counts."""
    Worker.objects.filter(pk=worker.pk).update(
        cordoned=True, cordon_reason=reason, cordoned_by=by, cordoned_at=Now(), updated=Now()
    )


def uncordon(worker: Worker) -> None:
    """Let a worker take work again."""
    Worker.objects.filter(pk=worker.pk).update(
        cordoned=False, cordon_reason=None, cordoned_by=None, cordoned_at=None, updated=Now()
    )


def drain(worker: Worker, *, by: Identity | None, reason: str | None = None) -> None:
    """Let a worker take nothing new, finish what it runs however long that takes, and end its process."""
    cordon(worker, by=by, reason=reason or "drained")
    Worker.objects.filter(pk=worker.pk).update(drain_requested_at=Now())


def forget(worker: Worker) -> None:
    """Delete the row of a worker that has ended. Raises StillAlive for one that hasn't."""
    if ended(Worker.objects.filter(pk=worker.pk)).delete()[0] == 0:
        raise StillAlive(f"{worker.name} lives: drain it first")


def ended(workers: QuerySet[Worker]) -> QuerySet[Worker]:
    """Return those that have said that they ended, or have been silent for longer than a lease."""
    silent = Q(heartbeat_age_seconds__gt=settings.ATTUNE_LEASE_SECONDS) | Q(heartbeat_age_seconds=None)
    return with_state(workers).filter(silent | Q(status=WorkerStatus.INACTIVE))


def forget_ended() -> int:
    """Delete the rows of processes that ended more than a day ago; return how many there were."""
    return Worker.objects.filter(last_heartbeat__lt=Now() - GONE_FOR).delete()[0]


def named(text: str) -> Worker | None:
    """Return a worker by its name or id."""
    found = Worker.objects.filter(name=text).first()
    if found is None and text.isascii() and text.isdigit() and len(text) < 19:  # a bigint
        found = Worker.objects.filter(pk=int(text)).first()
    return found
