import os
import signal
from pathlib import Path
from typing import Any

import pytest

from executions.runners.confine import Confined
from executions.runners.limits import Limits, problems
from tests.executions.guard.conftest import run_bash


@pytest.mark.parametrize(
    "value",
    [{}, {"memory_mb": 256}, {"files": 1, "cpu_seconds": 2, "processes": 3, "file_size_mb": 4}],
)
def test_good_limits_have_no_problems(value: Any):
    assert problems(value) == {}


@pytest.mark.parametrize("value", [None, [], "memory_mb=1", 5])
def test_limits_are_a_map(value: Any):
    assert problems(value) == {"": ["Expected a map of limits."]}


@pytest.mark.parametrize("value", [0, -1, 1.5, "1", True, None, 2**31])
def test_a_limit_is_a_whole_number(value: Any):
    assert problems({"files": value}) == {"files": ["Expected a whole number from 1 to 2147483647."]}


def test_an_unknown_limit_is_named():
    ((name, (problem,)),) = problems({"colour": 1}).items()

    assert name == "colour"
    assert problem.startswith("Unknown limit. Known are memory_mb,")


def test_an_action_may_ask_for_less_and_never_for_more():
    host = Limits(memory_mb=1000, files=100, cpu_seconds=0)

    own = host.within({"memory_mb": 500, "files": 200, "cpu_seconds": 7})

    assert own == Limits(memory_mb=500, files=100, cpu_seconds=7)


def test_what_is_no_limit_changes_nothing():
    assert Limits().within({"files": "many", "colour": 3, "cpu_seconds": -1}) == Limits()


def test_processes_are_counted_only_for_a_user_of_the_runs_own():
    names = [name for name, _, _ in Limits(processes=5).rlimits(own_user=False)]

    assert "RLIMIT_NPROC" not in names
    assert ("RLIMIT_NPROC", 5, 5) in Limits(processes=5).rlimits(own_user=True)


@pytest.fixture
def limited(tmp_path: Path) -> Any:
    """Run a script under limits: `limited("ulimit -n", files=9)`."""

    def run(script: str, **limits: int) -> Any:
        confined = Confined(limits=Limits(**{"files": 0, **limits}))
        return run_bash(tmp_path, True, script, confined=confined)

    return run


def test_limits_hold(limited: Any):
    ended = limited("ulimit -Hc; ulimit -Hn; ulimit -Hd; ulimit -Sf", files=64, memory_mb=100, file_size_mb=3)

    assert ended.stdout.raw.split() == [b"0", b"64", b"102400", b"3072"]


def test_memory_runs_out_for_the_action_alone(limited: Any):
    ended = limited("python3 -c 'x = bytearray(300 * 1024 * 1024)'", memory_mb=100)

    assert ended.exit_code == 1
    assert b"MemoryError" in ended.stderr.raw


def test_a_burnt_limit_of_cpu_time_is_the_reason(limited: Any):
    ended = limited("while :; do :; done", cpu_seconds=1)

    assert ended.exit_code == 128 + signal.SIGXCPU
    assert ended.error == "Went over its CPU limit of 1 s (SIGXCPU)"


def test_a_limit_that_the_action_outwits_for_a_moment_kills_it(limited: Any):
    ended = limited("trap '' XCPU; while :; do :; done", cpu_seconds=1)

    assert ended.exit_code == 137
    assert ended.error == "Went over its CPU limit of 1 s (SIGXCPU)"


def test_a_file_that_grows_too_large_is_the_reason(limited: Any):
    ended = limited("exec head -c 5000000 /dev/zero > big", file_size_mb=1)

    assert ended.exit_code == 128 + signal.SIGXFSZ
    assert ended.error == "Went over its limit of 1 MB per file (SIGXFSZ)"


@pytest.mark.parametrize(("name", "number"), [("KILL", 9), ("SEGV", 11), ("TERM", 15)])
def test_other_signals_are_told_and_not_explained(limited: Any, name: str, number: int):
    ended = limited(f"kill -{name} $$", memory_mb=100, cpu_seconds=100)

    assert ended.error is None
    assert ended.note == f"killed by signal {number} (SIG{name})"


def test_the_worker_keeps_its_own_limits(limited: Any):
    limited("true", files=64)
    ended = limited("ulimit -n")

    assert int(ended.stdout.raw) == os.sysconf("SC_OPEN_MAX")
