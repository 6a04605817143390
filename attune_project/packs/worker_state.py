"""What a worker's row says about it right now: by the database's clock, as leases are judged."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import BooleanField, Case, DurationField, ExpressionWrapper, F, Q, QuerySet, Value, When
from django.db.models.functions import Extract, Now

from .models import Worker, WorkerStatus

HEALTH_STATES = ("active", "busy", "cordoned", "offline", "error", "inactive")

RunningCounts = Callable[[list[int]], dict[int, int]]

_running_counts: RunningCounts | None = None


@dataclass(frozen=True)
class Load:
    """How much a worker does. Executions go from claimed to running at once, so none is only scheduled."""

    running: int
    max_concurrent_executions: int | None
    scheduled: int = 0
    sensor_processes_running: int = 0
    sensor_processes_monitored: int = 0
    active_rules: int = 0
    max_concurrent_sensors: int | None = None

    @property
    def total_active(self) -> int:
        return self.running + self.scheduled

    @property
    def utilization_percent(self) -> float | None:
        most = self.max_concurrent_executions
        return round(100 * self.total_active / most, 1) if most else None


def answer_running_counts(function: RunningCounts) -> None:
    """Register who knows executions: a function from worker ids to the number that each runs."""
    global _running_counts  # noqa: PLW0603 (set once, at start)
    _running_counts = function


def with_state(workers: QuerySet[Worker]) -> QuerySet[Worker]:
    """Add `heartbeat_age_seconds`, `heartbeat_stale` and `health_state` to every row."""
    age = Extract(ExpressionWrapper(Now() - F("last_heartbeat"), output_field=DurationField()), "epoch")
    fresh = Q(heartbeat_age_seconds__lte=settings.ATTUNE_LEASE_SECONDS)
    stale = Case(When(fresh, then=Value(False)), default=Value(True), output_field=BooleanField())
    return workers.annotate(heartbeat_age_seconds=age).annotate(
        heartbeat_stale=stale,
        health_state=Case(
            When(status=WorkerStatus.ERROR, then=Value("error")),
            When(status=WorkerStatus.INACTIVE, then=Value("inactive")),
            When(~fresh | Q(heartbeat_age_seconds=None), then=Value("offline")),
            When(cordoned=True, then=Value("cordoned")),
            When(status=WorkerStatus.BUSY, then=Value("busy")),
            default=Value("active"),
        ),
    )


def _most(capabilities: Mapping[str, Any]) -> int | None:
    """Return how many executions a worker runs at once: programs, and what only waits."""
    slots, inside = capabilities.get("slots"), capabilities.get("builtin_slots", 0)
    return slots + inside if isinstance(slots, int) and isinstance(inside, int) else None


def with_load(workers: Iterable[Worker]) -> list[Worker]:
    """Give each worker its `load`, for one query in all."""
    listed = list(workers)
    counts = _running_counts([worker.pk for worker in listed]) if _running_counts and listed else {}
    for worker in listed:
        worker.load = Load(counts.get(worker.pk, 0), _most(worker.capabilities))  # type: ignore[attr-defined]
    return listed
