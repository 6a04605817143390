"""The result as JSON that can be read and as Markdown that can be pasted."""

from typing import Any

import pytest

from benchmarks.__main__ import parse, require_durable, sizes_of
from benchmarks.bench import QUICK, Sizes, beside, spread
from benchmarks.errors import BenchmarkError
from benchmarks.report import markdown

FOUND: dict[str, Any] = {
    "machine": {
        "cores": 2, "cpu": "Abacus", "memory_mib": 1024, "kernel": "6.1", "load_before": 0.1,
        "postgres": {"fsync": "on"},
    },
    "versions": {"attune": "0.1.0"},
    "seconds": 12,
    "cases": {
        "pipeline_throughput": {
            "unit": "events/s", "median": 5123.4, "min": 5000.0, "max": 5200.0, "baseline_median": 186.0,
            "ratio_to_baseline": 27.5, "sustained": {"rate": 4000, "held": True}, "steps": [1.0, 0.9],
        },
        "scale": {"unit": "events/s", "failed": "Incorrect: of 5 | events"},
    },
}  # fmt: skip


def test_a_case_is_a_row_beside_the_hand_written_pipeline() -> None:
    lines = markdown(FOUND).splitlines()

    assert lines[0].startswith("2 cores (Abacus), 1024 MiB, Linux 6.1, load before 0.1; attune 0.1.0;")
    assert lines[2:5] == [
        "| case | median | min | max | by hand | ratio |",
        "| --- | --- | --- | --- | --- | --- |",
        "| pipeline_throughput (events/s) | 5,123 | 5,000 | 5,200 | 186 | 27.5 |",
    ]


def test_a_case_that_failed_says_why() -> None:
    assert "| scale | **failed**: Incorrect: of 5 \\| events |  |  |  |  |" in markdown(FOUND)


def test_what_else_was_found_stands_by_its_path() -> None:
    lines = markdown(FOUND).splitlines()

    assert "| sustained.rate | 4,000 |" in lines
    assert "| sustained.held | yes |" in lines
    assert "| steps | 1, 0.9 |" in lines


def test_a_profile_lists_its_statements() -> None:
    statement = {"service": "sensor", "statement": "SELECT 1", "per_event": 0.5, "ms_per_event": 0.1}
    found = {**FOUND, "profile": {"drain": {"wal_bytes_per_event": 10, "statements": [statement]}}}

    assert markdown(found).splitlines()[-1] == "| sensor | `SELECT 1` | 0.5 | 0.1 |"


def test_the_median_stands_between_the_extremes() -> None:
    assert spread([3.0, 1.0, 2.26]) == {"median": 2.3, "min": 1.0, "max": 3.0}


def test_the_ratio_is_that_of_the_medians() -> None:
    found = beside([500.0, 400.0, 600.0], [10.0, 30.0, 20.0])

    assert found == {
        "baseline_median": 20.0, "baseline_min": 10.0, "baseline_max": 30.0, "ratio_to_baseline": 25.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "sizes"),
    [
        ([], Sizes()),
        (["--quick"], QUICK),
        (["--quick", "--scale", "0.5"], QUICK.scaled(0.5)),
    ],
)
def test_sizes_are_those_that_were_asked_for(arguments: list[str], sizes: Sizes) -> None:
    assert sizes_of(parse(arguments)) == sizes


def test_five_million_rows_only_when_asked_for() -> None:
    assert max(sizes_of(parse([])).rows) == 1_000_000
    assert max(sizes_of(parse(["--big"])).rows) == 5_000_000


def test_a_server_that_promises_nothing_is_refused() -> None:
    with pytest.raises(BenchmarkError, match="synchronous_commit is off, not on"):
        require_durable({"synchronous_commit": "off"})


def test_cases_may_be_named_one_by_one_or_together() -> None:
    asked = parse(["--case", "scale", "--case", "backlog", "ingest_bulk"])

    assert asked.case == ["scale", "backlog", "ingest_bulk"]
