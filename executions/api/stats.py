"""How many executions of a list there are by status, on tables of any size."""

from typing import Any

from django.db.models import Count, QuerySet
from rest_framework import serializers

from attune_project.rest.paging import EXACT_TOTAL, planned, planned_rows, total_of
from executions.models import Execution, Status

DEAREST = 20_000.0  # of a count, as the planner reckons: some 5,000 rows that it has to fetch to look at
COUNTED = {
    "completed": (Status.COMPLETED,),
    "failed": (Status.FAILED,),
    "running": (Status.RUNNING, Status.CANCELING),
    "pending": (Status.REQUESTED, Status.SCHEDULING, Status.SCHEDULED),
    "cancelled": (Status.CANCELLED,),
    "timeout": (Status.TIMEOUT,),
    "abandoned": (Status.ABANDONED,),
}


class Stats(serializers.Serializer[Any]):
    """How many executions there are; `running` counts those that are being stopped, too.

    Exact when they are 10,000 at most. Of more, each number is exact or the planner's estimate.
    """

    total = serializers.IntegerField()
    completed = serializers.IntegerField()
    failed = serializers.IntegerField()
    running = serializers.IntegerField()
    pending = serializers.IntegerField()
    cancelled = serializers.IntegerField()
    timeout = serializers.IntegerField()
    abandoned = serializers.IntegerField()
    total_is_estimate = serializers.BooleanField(required=False)


def stats_of(listed: QuerySet[Execution]) -> dict[str, Any]:
    """Return what Stats names; `total_is_estimate` only when some count is one."""
    rows = listed.select_related(None).order_by()
    if not total_of(rows)[1]:
        by_status = dict(rows.values_list("status").annotate(Count("pk")))
        counts = {name: sum(by_status.get(one, 0) for one in ones) for name, ones in COUNTED.items()}
        return {"total": sum(counts.values()), **counts}
    counts = {name: sum(_count(rows.filter(status=one)) for one in ones) for name, ones in COUNTED.items()}
    return {"total": sum(counts.values()), **counts, "total_is_estimate": True}


def _count(rows: QuerySet[Execution]) -> int:
    """Count rows of one status, each of which has an index, unless they are rare among too many others."""
    if planned(rows.values("pk")[: EXACT_TOTAL + 1])["Total Cost"] > DEAREST:
        return planned_rows(rows)
    return total_of(rows)[0]
