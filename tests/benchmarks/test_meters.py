"""Processor time and memory, as /proc has them."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from benchmarks.meters import CpuMeter, broker_pids, cpu_seconds, family, memory, rss_mib

BUSY = "import sys; sum(range(20_000_000)); print('done', flush=True); sys.stdin.read()"


@pytest.fixture
def busy() -> Iterator[subprocess.Popen[bytes]]:
    """A shell whose child computes and then waits."""
    process = subprocess.Popen(
        ["/bin/sh", "-c", f'{sys.executable} -c "{BUSY}"; true'],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    yield process
    process.communicate()


def test_the_processor_time_of_descendants_counts(busy: subprocess.Popen[bytes]) -> None:
    meter = CpuMeter({"shell:1": busy.pid}, {"mine": []})
    assert busy.stdout is not None
    busy.stdout.readline()

    spent = meter.ms(per=2)

    assert spent["shell"] > 0
    assert spent["sum"] == spent["shell"]
    assert len(family(busy.pid)) == 2


def test_a_process_that_is_gone_costs_nothing() -> None:
    assert cpu_seconds(2**22 + 1) == 0
    assert rss_mib(2**22 + 1) == 0


def test_memory_is_sampled_until_the_end() -> None:
    with memory({"me": os.getpid()}, every=0.01) as found:
        assert found == {}
        subprocess.run(["sleep", "0.2"], check=True)

    assert found["me"]["max_mib"] > 1


def test_a_broker_on_another_machine_is_nobodys_process_here() -> None:
    assert broker_pids("amqp://guest@broker.example:5672//") == []
