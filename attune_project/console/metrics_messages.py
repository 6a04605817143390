"""Metrics of messages: rung, read, lost, dead, waiting on the broker."""

from collections.abc import Iterator

from django.db import connection
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from attune_project.console import broker_state, checks_messages
from attune_project.messaging import counts


def families() -> Iterator[Metric]:
    yield from counters()
    yield from dead_letters()
    yield probes()
    yield from broker()


def counters() -> Iterator[Metric]:
    """Sum what all processes, living and gone, have counted."""
    published = CounterMetricFamily(
        "attune_messages_published",
        "Messages published, probes among them.",
        labels=["message_type", "outcome"],
    )
    consumed = CounterMetricFamily(
        "attune_messages_consumed", "Messages handled by their service.", labels=["queue", "outcome"]
    )
    unroutable = 0
    for name, label, outcome, total in _rows("SELECT name, label, outcome, total FROM message_count"):
        if name == counts.PUBLISHED:
            published.add_metric([label, outcome], total)
            unroutable += total if outcome == "unroutable" else 0
        elif name == counts.CONSUMED:
            consumed.add_metric([label, outcome], total)
    yield published
    yield consumed
    yield CounterMetricFamily(
        "attune_messages_unroutable", "Messages that the broker had no queue for.", value=unroutable
    )


def dead_letters() -> Iterator[Metric]:
    every = CounterMetricFamily("attune_dead_letters", "Dead letters ever kept.", labels=["routing_key"])
    waiting = GaugeMetricFamily(
        "attune_dead_letters_open", "Dead letters that wait for a person.", labels=["queue", "reason"]
    )
    failing = GaugeMetricFamily(
        "attune_failing_rows", "Rows that a step has failed at and tries again, each alone.", labels=["step"]
    )
    for key, total in _rows("SELECT routing_key, count(*) FROM dead_letter GROUP BY routing_key"):
        every.add_metric([key], total)
    for queue, reason, count in _rows(
        "SELECT queue, reason, count(*) FROM dead_letter"
        " WHERE requeued_at IS NULL AND discarded_at IS NULL GROUP BY queue, reason"
    ):
        waiting.add_metric([queue, reason], count)
    for step, count in _rows(
        "SELECT step, count(*) FROM step_failure WHERE retry_at IS NOT NULL GROUP BY step"
    ):
        failing.add_metric([step], count)
    yield every
    yield waiting
    yield failing


def probes() -> Metric:
    ages = GaugeMetricFamily(
        "attune_probe_age_seconds",
        "Seconds since a service's probe of a routing key was last answered (or first sent).",
        labels=["routing_key", "service"],
    )
    for probe in checks_messages.read_probes():
        ages.add_metric([probe.routing_key, probe.service], probe.unanswered)
    return ages


def broker() -> Iterator[Metric]:
    """Say what the broker says; without it there is no depth, rather than a wrong one."""
    state = broker_state.watch.state()
    yield GaugeMetricFamily(
        "attune_broker_up", "Whether the broker can be reached from here.", value=float(state.error is None)
    )
    depth = GaugeMetricFamily("attune_queue_depth", "Messages that wait in a queue.", labels=["queue"])
    consumers = GaugeMetricFamily("attune_queue_consumers", "Consumers of a queue.", labels=["queue"])
    for name, queue in state.queues.items():
        depth.add_metric([name], queue.depth)
        consumers.add_metric([name], queue.consumers)
    yield depth
    yield consumers


def _rows(statement: str) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())
