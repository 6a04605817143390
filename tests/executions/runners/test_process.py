"""A small zoo of hostile programs: none may hang a worker, or outlive its run."""

import dataclasses
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from executions.runners import Control, Outcome, RunnerSettings, process, run
from executions.runners.capture import LIMIT
from tests.executions.lairs import dwell, inhabited, once_in, wait_for
from tests.executions.runners.conftest import GRACE, JOB, Run, shell_of

# Seconds until which a shell has begun, on a machine that has much else to do.
STARTED = 1.5


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("executions.runners.process.LINGER", 0.3)


@pytest.fixture
def lair(tmp_path: Path) -> Iterator[Path]:
    """A lair that must be empty when the test is over."""
    path = tmp_path / "lair"
    path.touch()
    yield path
    assert not inhabited(path)


@pytest.fixture
def patient_shell(tmp_path: Path) -> Run:
    """Run a script that may take its time to end."""
    return shell_of(tmp_path, grace=60)


def limited(shell: Run, script: str, seconds: float = 0.3) -> Outcome:
    return shell(script, job={"timeout_seconds": seconds})


def test_a_program_that_sleeps_too_long_times_out(shell: Run) -> None:
    outcome = limited(shell, "echo before; sleep 3600", seconds=STARTED)

    assert outcome.status == "timeout"
    assert outcome.result["error"] == f"demo.try timed out after {STARTED:g} s"
    assert outcome.result["stdout"] == "before\n"
    assert outcome.result["exit_code"] == 143


def test_a_program_that_ignores_sigterm_is_killed(shell: Run, lair: Path) -> None:
    outcome = limited(shell, f"trap '' TERM; {dwell(lair)}; while :; do sleep 3600; done", seconds=STARTED)

    assert (outcome.status, outcome.result["exit_code"]) == ("timeout", 137)


def test_a_program_may_say_its_last_words(patient_shell: Run) -> None:
    outcome = limited(patient_shell, "trap 'echo cleaned; exit 0' TERM; sleep 3600 & wait", seconds=STARTED)

    assert outcome.status == "timeout"
    assert outcome.result["stdout"] == "cleaned\n"
    assert not outcome.result["succeeded"]


def test_a_stopped_program_is_killed(shell: Run, lair: Path) -> None:
    outcome = limited(shell, f"{dwell(lair)}; kill -STOP $$")

    assert outcome.status == "timeout"


@pytest.mark.parametrize(
    "animal",
    [
        "({dwell}; sleep 3600) &",
        "(trap '' TERM; {dwell}; while :; do sleep 3600; done) &",
        "setsid bash -c '{dwell}; exec sleep 3600' &",
        "set -m; bash -c '{dwell}; exec sleep 3600' &",
        "(setsid bash -c 'trap \"\" TERM; {dwell}; while :; do sleep 3600; done' &) &",
    ],
    ids=["child", "deaf child", "own session", "own group", "deaf daemon"],
)
def test_a_grandchild_that_holds_the_pipe_holds_nobody_up(shell: Run, lair: Path, animal: str) -> None:
    outcome = shell(f"echo done; {animal.format(dwell=dwell(lair))} {once_in(lair)}")

    assert outcome.status == "completed"
    assert outcome.result["stdout"] == "done\n"


def test_a_quiet_child_does_not_outlive_its_run(shell: Run, lair: Path) -> None:
    outcome = shell(f"({dwell(lair)}; sleep 3600) >/dev/null 2>&1 </dev/null & {once_in(lair)}")

    assert outcome.status == "completed"


def test_the_whole_tree_is_killed_at_the_limit(shell: Run, lair: Path) -> None:
    nest = f"bash -c '{dwell(lair)}; ({dwell(lair)}; sleep 3600; :); :'; :"
    outcome = limited(shell, nest, seconds=STARTED)

    assert outcome.status == "timeout"
    assert lair.read_text().split() == ["in", "in"]


def test_output_of_a_helper_that_is_still_writing_is_kept(
    shell: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "LINGER", 60)

    outcome = shell("echo one; (sleep 0.1; echo two) &")

    assert outcome.result["stdout"] == "one\ntwo\n"


def test_a_flood_is_cut_and_drained(shell: Run) -> None:
    outcome = shell("head -c 100000000 /dev/zero | tr '\\0' x; echo fine >&2")

    stdout = outcome.result["stdout"]
    assert outcome.status == "completed"
    assert outcome.result["stdout_truncated"] is True
    assert stdout.endswith(f"x\n[output cut after {LIMIT} bytes]")
    assert len(stdout) == LIMIT + len(f"\n[output cut after {LIMIT} bytes]")
    assert outcome.result["stderr"] == "fine\n"
    assert "stderr_truncated" not in outcome.result


def test_a_flood_of_errors_is_no_error_text(shell: Run) -> None:
    outcome = shell("head -c 11000000 /dev/zero | tr '\\0' x >&2; exit 3")

    assert outcome.result["stderr_truncated"] is True
    assert outcome.result["error"] == "Command exited with code 3"


def test_an_endless_flood_times_out(shell: Run) -> None:
    outcome = limited(shell, "yes")

    assert outcome.status == "timeout"


def test_binary_output_is_stored_as_text(shell: Run) -> None:
    outcome = shell(r"printf 'a\000b\377c\355\240\200d'")

    assert outcome.status == "completed"
    assert "\x00" not in outcome.result["stdout"]
    assert outcome.result["stdout"].startswith("a\ufffdb\ufffdc")
    outcome.result["stdout"].encode()


def test_five_megabytes_that_nobody_reads_hold_nobody_up(shell: Run) -> None:
    outcome = shell("exec 0<&-; echo ok", big="x" * 5_000_000)

    assert (outcome.status, outcome.result["stdout"]) == ("completed", "ok\n")


def test_five_megabytes_go_in_while_they_come_out(shell: Run) -> None:
    outcome = shell("cat", job={"output_format": "json"}, big="it's\n" * 1_000_000)

    assert outcome.result["data"] == {"big": "it's\n" * 1_000_000}


def test_a_program_that_closes_its_streams_is_still_waited_for(shell: Run) -> None:
    outcome = shell("exec >&- 2>&-; sleep 0.2; exit 5")

    assert outcome.result["exit_code"] == 5
    assert outcome.result["duration_ms"] >= 200


def test_a_signal_counts_as_shells_count(shell: Run) -> None:
    outcome = shell("kill -KILL $$")

    assert (outcome.status, outcome.result["exit_code"]) == ("failed", 137)


def test_there_are_no_core_dumps_and_no_new_privileges(shell: Run) -> None:
    outcome = shell("ulimit -c; ulimit -Hc; grep NoNewPrivs /proc/self/status | cut -f 2")

    assert outcome.result["stdout"] == "0\n0\n1\n"


@pytest.mark.parametrize("reason", ["cancelled", "lost", "shutdown"])
def test_a_running_program_is_stopped(tmp_path: Path, lair: Path, reason: Any) -> None:
    control = Control()
    job = dataclasses.replace(
        JOB,
        runtime_ref="core.shell",
        entrypoint=f"trap '' TERM; {dwell(lair)}; while :; do sleep 3600; done",
    )
    stop_once(lair.read_text, control, reason)

    outcome = run(job, control, RunnerSettings(runs_dir=tmp_path, kill_grace=GRACE))

    assert (outcome.status, outcome.result["exit_code"]) == ("cancelled", 137)


def test_a_lost_lease_leaves_no_time_to_clean_up(tmp_path: Path) -> None:
    control = Control()
    up = tmp_path / "up"
    job = dataclasses.replace(
        JOB,
        runtime_ref="core.shell",
        entrypoint=f"trap 'sleep 0.2; echo late' TERM; echo up; touch {up}; sleep 3600 & wait; wait",
    )
    stop_once(up.exists, control, "lost")

    outcome = run(job, control, RunnerSettings(runs_dir=tmp_path, kill_grace=10))

    assert outcome.result["stdout"] == "up\n"
    assert outcome.result["error"] == "Stopped: the worker lost its lease"


def test_runs_leak_no_descriptors_and_no_zombies(shell: Run) -> None:
    shell("true")
    before = os.listdir("/proc/self/fd")  # among them the line to a guard that rests

    for _ in range(5):
        shell("cat >/dev/null; sleep 0.01 &", x=1)

    assert len(os.listdir("/proc/self/fd")) <= len(before)
    assert os.waitpid(-1, os.WNOHANG) == (0, 0)  # the zygote, which lives on, and nobody else


def test_runs_in_many_threads_do_not_disturb_each_other(shell: Run) -> None:
    outcomes: dict[int, Outcome] = {}

    def go(number: int) -> None:
        outcomes[number] = shell('sleep 0.05; echo "$n"', n=number)

    threads = [threading.Thread(target=go, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {number: outcome.result["stdout"] for number, outcome in outcomes.items()} == {
        number: f"{number}\n" for number in range(8)
    }


WORKER = """
from executions.runners import Control, Job, run
run(Job(1, "demo.try", "demo", "core.shell", "{script}; exec sleep 60", {{}}), Control())
"""


def test_a_program_ends_with_its_worker(tmp_path: Path, lair: Path) -> None:
    env = {**os.environ, "ATTUNE_SERVICE": "worker", "TMPDIR": str(tmp_path), "ATTUNE_ENV": "test"}
    env.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    worker = subprocess.Popen([sys.executable, "-c", WORKER.format(script=dwell(lair))], env=env)
    wait_for(lair.read_text)
    assert inhabited(lair)

    worker.kill()
    worker.wait()

    wait_for(lambda: not inhabited(lair))


def stop_once(condition: Callable[[], object], control: Control, reason: Any) -> None:
    """Stop a run from another thread as soon as something is so."""

    def stop() -> None:
        wait_for(condition)
        control.stop(reason)

    threading.Thread(target=stop, daemon=True).start()
