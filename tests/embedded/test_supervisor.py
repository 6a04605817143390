import os
import signal
import sys
import time
from pathlib import Path

import pytest

from attune_project.embedded.errors import LauncherError
from attune_project.embedded.programs import Program
from attune_project.embedded.supervisor import Interrupted, Supervised, Supervisor
from tests.embedded.conftest import turn_until

SLEEP = "import time; print('hello', flush=True); time.sleep(60)"
STUBBORN = (
    "import signal, time; signal.signal(15, signal.SIG_IGN); print('hello', flush=True); time.sleep(60)"
)


def program(code: str, name: str = "one", order: int = 0, log: Path | None = None) -> Program:
    """Return a program that is ready once its greeting is in the log (or at once, without a log)."""
    argv = [sys.executable, "-c", code]
    return Program(
        name, argv, {}, ready=lambda: log is None or f"{name:<9}| hello" in log.read_text(), order=order
    )


def pid(child: Supervised) -> int:
    assert child.process is not None
    return child.process.pid


def test_start_waits_until_ready(supervisor: Supervisor, log: Path) -> None:
    late = supervisor.start([program(SLEEP, log=log)])

    assert late == []
    assert "one      | hello" in log.read_text()


def test_start_names_who_is_late(supervisor: Supervisor) -> None:
    never = Program("one", [sys.executable, "-c", SLEEP], {}, ready=lambda: False, order=0)

    assert supervisor.start([never], timeout=0.3) == ["one"]


def test_what_dies_is_started_again(supervisor: Supervisor, log: Path) -> None:
    supervisor.start([program(SLEEP, log=log)])
    child = supervisor.children[0]
    first = pid(child)

    os.kill(first, signal.SIGKILL)
    turn_until(supervisor, lambda: log.read_text().count("| hello") == 2)

    assert pid(child) != first
    assert "attune: one ended (signal SIGKILL), starting it again in 0.5 s" in log.read_text()


def test_deaths_in_a_row_wait_longer() -> None:
    child = Supervised(program(SLEEP))
    child.started_at = time.monotonic()

    waits = [child.note_death() for _ in range(8)]

    assert waits == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_a_calm_life_forgives_earlier_deaths() -> None:
    child = Supervised(program(SLEEP))
    child.deaths = 5
    child.started_at = time.monotonic() - 31

    assert child.note_death() == 0.5


def test_a_program_that_keeps_ending_stops_the_start(supervisor: Supervisor) -> None:
    broken = Program("one", [sys.executable, "-c", "raise SystemExit(3)"], {}, ready=lambda: False, order=0)

    with pytest.raises(LauncherError, match="one can't start"):
        supervisor.start([broken])


def test_a_missing_program_is_an_error_in_words(supervisor: Supervisor) -> None:
    missing = Program("one", ["/nowhere/one"], {}, ready=lambda: True, order=0)

    with pytest.raises(LauncherError, match=r"can't start one: .*No such file"):
        supervisor.start([missing])


def test_stop_goes_from_the_last_to_the_first(supervisor: Supervisor, log: Path) -> None:
    # Not by print: the signal may come in the middle of the greeting's, which can't be entered twice.
    last_words = "import os, signal; signal.signal(15, lambda *_: os._exit(os.write(1, b'bye\\n') - 4));"
    said = last_words + SLEEP
    supervisor.start(
        [program(said, name="base", order=0, log=log), program(said, name="top", order=2, log=log)]
    )

    supervisor.stop()

    text = log.read_text()
    assert -1 < text.index("top      | bye") < text.index("base     | bye")


def test_what_does_not_end_is_killed(supervisor: Supervisor, log: Path) -> None:
    ready = program(STUBBORN, log=log).ready
    supervisor.start([Program("one", [sys.executable, "-c", STUBBORN], {}, ready, order=0, patience=0.3)])
    process = supervisor.children[0].process
    assert process is not None

    supervisor.stop()

    assert process.returncode == -signal.SIGKILL
    assert "attune: one did not end in time and was killed" in log.read_text()


def test_stop_takes_the_children_of_children(supervisor: Supervisor, log: Path) -> None:
    code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {STUBBORN!r}]).wait()"
    supervisor.start([program(code, log=log)])
    group = pid(supervisor.children[0])

    supervisor.stop()

    # The group is gone (a zombie of it may wait for init, which a signal 0 would find).
    ends = time.monotonic() + 30  # what was killed may need a moment to go
    while group in _living_groups() and time.monotonic() < ends:
        time.sleep(0.05)
    assert group not in _living_groups()


def _living_groups() -> set[int]:
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z":
            found.add(int(fields[2]))
    return found


def test_run_returns_the_exit_code(supervisor: Supervisor, log: Path) -> None:
    code = supervisor.run(program("print('done'); raise SystemExit(3)"))

    assert code == 3
    assert log.read_text() == "one      | done\n"


def test_a_request_to_stop_interrupts(supervisor: Supervisor) -> None:
    supervisor.stopping = True

    with pytest.raises(Interrupted):
        supervisor.run(program(SLEEP))
