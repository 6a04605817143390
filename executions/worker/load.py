"""What others ask about workers: how much each runs, and which pools there are to be."""

from django.db.models import Count

from executions.lifecycle.announcing import rows_of
from executions.models import Execution


def running_counts(worker_ids: list[int]) -> dict[int, int]:
    """Return the number of executions that each of the workers runs; idle ones are left out."""
    running = Execution.objects.filter(status__in=["running", "canceling"], worker_id__in=worker_ids)
    return dict(running.order_by().values_list("worker_id").annotate(Count("id")))


def named_pools() -> list[str]:
    """Return the pools that packs declare or actions name."""
    rows = rows_of(
        "SELECT worker_pool FROM action WHERE worker_pool IS NOT NULL UNION"
        " SELECT jsonb_array_elements_text(meta -> 'worker_pools') FROM pack"
        " WHERE jsonb_typeof(meta -> 'worker_pools') = 'array'",
        [],
    )
    return [row[0] for row in rows]
