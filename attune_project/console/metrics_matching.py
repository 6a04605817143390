"""Metrics of matching: which trigger's rules take the time."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, Metric

from attune_project.messaging import counts
from attune_project.messaging.models import MessageCount


def families() -> Iterator[Metric]:
    """Sum what all matchers, living and gone, have counted since their triggers' first events."""
    labels = ["trigger_ref"]
    found = {
        counts.EVENTS: (CounterMetricFamily("attune_matching_events", "Events decided.", labels=labels), 1),
        counts.RULES: (
            CounterMetricFamily("attune_matching_rules_asked", "Rules asked one by one.", labels=labels), 1
        ),
        counts.NANOSECONDS: (
            CounterMetricFamily(
                "attune_matching_cpu_seconds", "Processor time of asking rules.", labels=labels
            ),
            1e9,
        ),
    }  # fmt: skip
    for row in MessageCount.objects.filter(name=counts.MATCHED).order_by("label"):
        family, unit = found[row.outcome]
        family.add_metric([row.label], row.total / unit)
    for family, _ in found.values():
        yield family
