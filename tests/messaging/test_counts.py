"""Counters survive the process that counted."""

import pytest
from django.db import OperationalError

from attune_project.messaging import counts
from attune_project.messaging.models import MessageCount

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _empty():
    counts._counter.clear()


def test_counts_are_added_up_over_flushes():
    for _ in range(2):
        counts.add("published", "EventCreated", "ok", 3)
        counts.flush()

    assert MessageCount.objects.get(label="EventCreated").total == 6


def test_nothing_counted_costs_no_query(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert counts.flush() == 0


def test_a_failed_flush_keeps_the_counts(monkeypatch):
    def fail(rows):
        raise OperationalError("away")

    counts.add("published", "EventCreated", "ok")
    with monkeypatch.context() as patch, pytest.raises(OperationalError):
        patch.setattr(counts, "_store", fail)
        counts.flush()
    counts.flush()

    assert MessageCount.objects.get().total == 1
