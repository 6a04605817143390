"""Metrics of retention: what is kept for how long, what has gone, how old the oldest rows are."""

from collections.abc import Iterator

from django.db import connection
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from attune_project.console.models import RetentionCount
from attune_project.console.retention import limits

TABLES = ("event", "enforcement", "execution")
_OLDEST = " UNION ALL ".join(
    f"(SELECT '{table}', GREATEST(extract(epoch FROM now() - created), 0)::float8 FROM {table}"  # noqa: S608
    " ORDER BY id LIMIT 1)"
    for table in TABLES
)


def families() -> Iterator[Metric]:
    known = limits.current()
    days = GaugeMetricFamily(
        "attune_retention_days", "For how many days rows are kept; 0: for ever.", labels=["kind"]
    )
    for kind in (limits.RUNTIME, limits.AUDIT):
        days.add_metric([kind], known.days_of(kind) if known.enabled else 0)
    deleted = CounterMetricFamily(
        "attune_retention_deleted_rows", "Rows that retention has deleted.", labels=["table"]
    )
    for row in RetentionCount.objects.order_by("name"):
        deleted.add_metric([row.name], row.deleted)
    oldest = GaugeMetricFamily(
        "attune_oldest_row_seconds", "Age of the oldest row of a table.", labels=["table"]
    )
    with connection.cursor() as cursor:
        cursor.execute(_OLDEST)
        for table, age in cursor.fetchall():
            oldest.add_metric([table], age)
    yield from (days, deleted, oldest)
