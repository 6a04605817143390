"""`./attune bench` does its work and says so in its shape. How fast it was is nobody's test."""

import json
import os
import subprocess
import sys
from typing import Any, cast

import psycopg
import pytest

from benchmarks.__main__ import measured_all
from benchmarks.bench import Bench
from tests.integration.servers import rabbitmqctl
from tests.integration.spine import ROOT

CASES = ("pipeline_throughput", "pipeline_single", "ingest_single", "api_list")
ADDRESSES = {
    "ATTUNE_BENCH_DATABASE_URL": "ATTUNE_TEST_DATABASE_URL",
    "ATTUNE_BENCH_BROKER_URL": "ATTUNE_TEST_BROKER_URL",
}


def bench(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT, env={**os.environ, **settings}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def left_behind() -> set[str]:
    """Return the benchmark's databases and virtual hosts."""
    with psycopg.connect(os.environ["ATTUNE_TEST_DATABASE_URL"]) as connection:
        rows = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 'attune_bench_%'")
        databases = {row[0] for row in rows}
    vhosts = rabbitmqctl("-q", "list_vhosts", "name", "--no-table-headers").split()
    return databases | {name for name in vhosts if name.startswith("attune-bench-")}


@pytest.fixture(scope="module")
def before() -> set[str]:
    return left_behind()


@pytest.fixture(scope="module")
def found(before: set[str]) -> dict[str, Any]:
    """What the smallest run of some cases prints."""
    addresses = {name: os.environ[test] for name, test in ADDRESSES.items()}
    done = bench("--quick", "--scale", "0.05", "--case", *CASES, **addresses)
    assert done.returncode == 0, done.stderr[-6000:]
    return json.loads(done.stdout)


@pytest.mark.rabbitmq
@pytest.mark.postgres
@pytest.mark.timeout(900)
class TestQuickRun:
    def test_every_case_did_its_work(self, found: dict[str, Any]) -> None:
        assert tuple(found["cases"]) == CASES
        assert {name: one["failed"] for name, one in found["cases"].items() if "failed" in one} == {}
        assert all(one["median"] > 0 for one in found["cases"].values())

    def test_events_are_compared_with_the_hand_written_pipeline(self, found: dict[str, Any]) -> None:
        for name in ("pipeline_throughput", "pipeline_single"):
            case = found["cases"][name]
            assert case["unit"] == "events/s"
            assert case["min"] <= case["median"] <= case["max"]
            assert case["baseline_median"] > 0
            assert case["ratio_to_baseline"] > 0
            assert case["repairs"] == 0

    def test_it_says_on_what_it_was_measured(self, found: dict[str, Any]) -> None:
        assert found["machine"]["cores"] >= 1
        assert found["machine"]["postgres"]["synchronous_commit"] == "on"
        assert {"attune", "python", "postgres", "rabbitmq", "celery"} <= set(found["versions"])

    def test_nothing_is_left(self, found: dict[str, Any], before: set[str]) -> None:
        assert left_behind() - before == set()


def test_servers_that_are_not_there_are_asked_for() -> None:
    refused = bench("--quick", **dict.fromkeys(ADDRESSES, ""))

    assert refused.returncode == 1
    assert refused.stdout == ""
    assert refused.stderr == (
        "bench: ATTUNE_BENCH_DATABASE_URL and ATTUNE_BENCH_BROKER_URL must be set;"
        " `./attune bench` starts servers of its own.\n"
    )


def test_an_interrupt_keeps_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_bench: Any) -> dict[str, Any]:
        raise KeyboardInterrupt

    cases = {"first": lambda _bench: {"unit": "ms", "median": 1}, "second": interrupted, "third": interrupted}
    monkeypatch.setattr("benchmarks.__main__.CASES", cases)

    found = measured_all(cast(Bench, None), list(cases), with_profile=True)

    assert found == {"cases": {"first": {"unit": "ms", "median": 1}}, "stopped": True}


def test_a_case_that_does_not_exist_is_refused() -> None:
    refused = bench("--case", "nothing")

    assert refused.returncode == 2
    assert "invalid choice: 'nothing'" in refused.stderr


def test_the_launcher_knows_the_word() -> None:
    listed = subprocess.run([sys.executable, ROOT / "attune"], capture_output=True, text=True, check=True)

    assert "\n  bench   " in listed.stdout
