"""Counts of executions by status: exact while there are few, cheap when there are many."""

import uuid

import pytest

from attune_project.rest import paging
from executions.api import stats
from executions.models import Execution

URL = "/api/v1/executions/stats"
NOW = "2026-01-31T12:00:00Z"


@pytest.fixture
def some(db):
    """Three of one action that wait, two of another: one completed and one failed."""
    common = {"trace_id": uuid.uuid4(), "rule_ref": "demo.rule"}
    for _ in range(3):
        Execution.objects.create(action_ref="demo.one", status="requested", **common)
    for status in ("completed", "failed"):
        Execution.objects.create(action_ref="demo.two", status=status, finished_at=NOW, **common)


@pytest.fixture
def many(some, monkeypatch):
    """More than are counted exactly."""
    monkeypatch.setattr(paging, "EXACT_TOTAL", 2)
    monkeypatch.setattr(stats, "EXACT_TOTAL", 2)


def counts(answer):
    return {name: count for name, count in answer.json()["data"].items() if count}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {"total": 5, "pending": 3, "completed": 1, "failed": 1}),
        ("?action_ref=demo.two", {"total": 2, "completed": 1, "failed": 1}),
        ("?status=requested,failed", {"total": 4, "pending": 3, "failed": 1}),
        ("?rule_ref=demo.other", {}),
        ("?created_after=2100-01-01", {}),
    ],
)
@pytest.mark.usefixtures("some")
def test_the_filters_of_the_list_hold(api, query, expected):
    assert counts(api.get(URL + query)) == expected


def test_a_filter_that_nobody_knows_is_refused(api):
    assert api.get(f"{URL}?colour=red").json()["code"] == "UNKNOWN_FILTER"


@pytest.mark.usefixtures("many")
def test_of_many_those_of_few_are_still_exact(api):
    found = counts(api.get(URL))

    assert (found["completed"], found["failed"]) == (1, 1)
    assert found["pending"] >= 3
    assert found["total"] == found["completed"] + found["failed"] + found["pending"]
    assert found["total_is_estimate"] is True


@pytest.mark.usefixtures("many")
def test_of_many_what_is_dear_to_count_is_estimated(api, monkeypatch):
    monkeypatch.setattr(stats, "DEAREST", 0)
    monkeypatch.setattr(stats, "planned_rows", lambda rows: 7)

    assert counts(api.get(URL))["failed"] == 7


@pytest.mark.usefixtures("some")
def test_a_search_in_results_counts_too(api):
    Execution.objects.filter(status="failed").update(result={"error": "no route to host"})

    assert counts(api.get(f"{URL}?result_contains=no route")) == {"total": 1, "failed": 1}
