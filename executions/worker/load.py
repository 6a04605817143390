"""How much each worker runs, for the pages that list workers."""

from django.db.models import Count

from executions.models import Execution


def running_counts(worker_ids: list[int]) -> dict[int, int]:
    """Return the number of executions that each of the workers runs; idle ones are left out."""
    running = Execution.objects.filter(status__in=["running", "canceling"], worker_id__in=worker_ids)
    return dict(running.order_by().values_list("worker_id").annotate(Count("id")))
