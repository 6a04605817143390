"""Metrics of the pipeline: what owes work, how much there is, how long each stage takes.

Nothing here reads a big table whole: work is counted by partial indexes, the rest is estimated.
"""

from collections.abc import Iterator

from django.db import connection
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from attune_project.console import canary, checks, step_state
from attune_project.messaging import steps
from attune_project.messaging.steps import OwedStep

MOST_COUNTED = 100_000
SAMPLE = 1000
SMALL_TABLE_BYTES = 16 * 1024 * 1024
QUANTILES = (0.5, 0.95, 0.99)
UNDER_WAY = {
    "event": ("new",),
    "enforcement": ("created",),
    "execution": ("requested", "scheduled", "running", "canceling"),
}
STAGES = {
    "event_to_decided": "e.decided_at - e.created",
    "decided_to_enforced": "n.resolved_at - e.decided_at",
    "scheduled_to_started": "x.started_at - x.scheduled_at",
    "started_to_finished": "x.finished_at - x.started_at",
    "finished_to_settled": "x.settled_at - x.finished_at",
    "event_to_finished": "x.finished_at - e.created",
}


def families() -> Iterator[Metric]:
    yield from step_metrics()
    yield from rows_by_status()
    yield latencies()
    yield from canary_metrics()
    yield check_metrics()


def step_metrics() -> Iterator[Metric]:
    owed = GaugeMetricFamily("attune_step_owed_rows", "Rows that owe a step.", labels=["step"])
    oldest = GaugeMetricFamily(
        "attune_step_oldest_owed_seconds", "How long the oldest of them has owed it.", labels=["step"]
    )
    repairs = CounterMetricFamily(
        "attune_step_repairs", "Rows that a poll found without their message.", labels=["step"]
    )
    states = step_state.read()
    for step in steps.every():
        count, age = owed_rows(step)
        owed.add_metric([step.name], count)
        oldest.add_metric([step.name], age)
        repairs.add_metric([step.name], states.get(step.name, step_state.SILENT).repairs)
    yield from (owed, oldest, repairs)


def owed_rows(step: OwedStep) -> tuple[int, float]:
    """Return how many rows owe a step (at most MOST_COUNTED), and for how long the oldest has."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT count(*), COALESCE(extract(epoch FROM now() - min(since)), 0)::float8
            FROM (SELECT {step.since} AS since FROM {step.table} WHERE {step.owed}
                  ORDER BY id LIMIT {MOST_COUNTED}) owed
            """  # noqa: S608 (expressions of our own)
        )
        count, age = cursor.fetchone()
    return count, max(0.0, age)


def rows_by_status() -> Iterator[Metric]:
    for table in UNDER_WAY:
        family = GaugeMetricFamily(
            f"attune_{table}s",
            f"Rows of {table} by status; those that are done are estimated when there are many.",
            labels=["status"],
        )
        for status, count in sorted(status_counts(table).items()):
            family.add_metric([status], count)
        yield family


def status_counts(table: str) -> dict[str, float]:
    """Return the number of rows by status: exact in a small table, else only for what is under way."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_relation_size(%s::regclass)", [table])
        if cursor.fetchone()[0] < SMALL_TABLE_BYTES:
            cursor.execute(f"SELECT status, count(*) FROM {table} GROUP BY status")  # noqa: S608 (our own)
            return dict(cursor.fetchall())
    return {**estimated_counts(table), **exact_counts(table)}


def estimated_counts(table: str) -> dict[str, float]:
    """Return what the planner believes."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT unnest(s.most_common_vals::text::text[]),"
            " unnest(s.most_common_freqs) * GREATEST(c.reltuples, 0)"
            " FROM pg_stats s JOIN pg_class c ON c.oid = %s::regclass"
            " WHERE s.schemaname = 'attune' AND s.tablename = %s AND s.attname = 'status'",
            [table, table],
        )
        return {status: round(count) for status, count in cursor.fetchall()}


def exact_counts(table: str) -> dict[str, float]:
    """Count what is under way, each status by its partial index."""
    found = {}
    with connection.cursor() as cursor:
        for status in UNDER_WAY[table]:
            cursor.execute(
                f"SELECT count(*) FROM (SELECT 1 FROM {table} WHERE status = '{status}'"  # noqa: S608
                f" LIMIT {MOST_COUNTED}) under_way"
            )
            found[status] = cursor.fetchone()[0]
    return found


def latencies() -> Metric:
    """Return quantiles of the last settled executions."""
    family = GaugeMetricFamily(
        "attune_stage_latency_seconds",
        f"Quantiles of each stage over the last {SAMPLE} settled executions.",
        labels=["stage", "quantile"],
    )
    for stage, values in stage_quantiles().items():
        for quantile, value in zip(QUANTILES, values or (), strict=False):
            family.add_metric([stage, f"{quantile:g}"], value)
    return family


def stage_quantiles() -> dict[str, list[float] | None]:
    """Return the quantiles by stage; None where no execution passed through it."""
    columns = ", ".join(
        f"percentile_cont(ARRAY{list(QUANTILES)}) WITHIN GROUP (ORDER BY extract(epoch FROM {span}))"
        for span in STAGES.values()
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT {columns}
            FROM (SELECT * FROM (SELECT id, scheduled_at, started_at, finished_at, settled_at FROM execution
                                 ORDER BY id DESC LIMIT 50000) newest
                  WHERE settled_at IS NOT NULL ORDER BY id DESC LIMIT {SAMPLE}) x
            LEFT JOIN enforcement n ON n.execution_id = x.id
            LEFT JOIN event e ON e.id = n.event_id
            """  # noqa: S608 (expressions of our own)
        )
        return dict(zip(STAGES, cursor.fetchone(), strict=True))


def canary_metrics() -> Iterator[Metric]:
    rule = canary.timing()
    if rule is None or not rule.enabled or rule.timer_id is None:
        return
    age = GaugeMetricFamily("attune_canary_age_seconds", "Seconds since the canary's newest event.")
    hops = GaugeMetricFamily(
        "attune_canary_hop_seconds", "How long its last run took per step.", labels=["step"]
    )
    found = canary.runs(rule.timer_id, rule.rule_id)
    if found:
        age.add_metric([], found[0].recorded)
    settled = next((run for run in found if run.settled is not None), None)
    for hop in settled.hops if settled else ():
        if hop.seconds is not None:
            hops.add_metric([hop.step], hop.seconds)
    yield from (age, hops)


def check_metrics() -> Metric:
    family = GaugeMetricFamily(
        "attune_check_ok", "1 when a check of /health/detailed is well.", labels=["check"]
    )
    for one in checks.work_out():
        family.add_metric([one.name], float(one.ok))
    return family
