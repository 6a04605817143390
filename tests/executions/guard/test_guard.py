"""What a run leaves behind: nobody, however it tries and whoever is killed or frozen."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from executions.guard.client import zygote
from executions.runners.confine import Confined
from executions.runners.job import Control
from executions.runners.limits import Limits
from executions.runners.process import GUARD_KILLED, run_process
from tests.executions.guard.conftest import PATH, Bash, guards, soon
from tests.executions.lairs import dwell, inhabited, once_in, running, wait_for

# Outside of one it would be the whole machine, and nothing limits root's processes.
IN_A_NAMESPACE = pytest.mark.parametrize("namespaces", ["namespace"], indirect=True)
FOR_EVER = "while :; do sleep 3600; done"

DAEMON = """
import os, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.chdir("/")
        os.closerange(0, 1024)
        os.execve("/bin/sleep", ["sleep", sys.argv[1]], {})
    os._exit(0)
os.wait()
"""

COMET = """
import os
open("begun", "w").close()
if os.fork():
    os._exit(0)
while True:
    if os.fork():
        os._exit(0)
"""


def test_an_action_has_what_it_was_given_and_nothing_else(bash: Bash, tmp_path: Path):
    ended = bash("env -u PWD -u SHLVL -u _ env; ls /proc/self/fd; pwd; umask; cat", stdin=b"hello")

    # 3 is the folder that ls reads
    assert ended.stdout.raw.decode().split() == [
        f"PATH={PATH['PATH']}", "0", "1", "2", "3", str(tmp_path), "0077", "hello",
    ]  # fmt: skip
    assert (ended.exit_code, ended.end) == (0, "exited")


def test_what_is_near_an_action_knows_nothing_of_the_worker(bash: Bash, namespaces: bool):
    bash("true")

    zygote_of_ours = Path(f"/proc/{zygote(namespaces).pid}")
    if os.geteuid() != 0:
        with pytest.raises(PermissionError):  # it is closed to others of its user
            (zygote_of_ours / "environ").read_bytes()
        return
    assert (zygote_of_ours / "environ").read_bytes() == b""
    held = len(list((zygote_of_ours / "fd").iterdir()))
    assert held <= 3 + 4 + len(guards(namespaces))  # its streams; socket, two of a pipe, namespace; controls


@pytest.mark.parametrize(
    ("argv", "folder", "named"),
    [
        (["/nowhere/program"], "", "/nowhere/program"),
        (["no-such-program"], "", "no-such-program"),
        (["/bin/true"], "gone", "gone"),
    ],
    ids=["program", "on no PATH", "folder"],
)
def test_what_is_missing_is_named(namespaces: bool, tmp_path: Path, argv: list[str], folder: str, named: str):
    confined = Confined(pid_namespace=namespaces)

    with pytest.raises(FileNotFoundError, match=named):
        run_process(
            argv, env=PATH, cwd=tmp_path / folder, stdin=b"", limit=60, control=Control(), kill_grace=0,
            confined=confined,
        )  # fmt: skip


def test_what_is_no_program_is_an_error(namespaces: bool, tmp_path: Path):
    (tmp_path / "text").write_text("text")

    with pytest.raises(PermissionError, match="text"):
        run_process(
            [str(tmp_path / "text")], env=PATH, cwd=tmp_path, stdin=b"", limit=60, control=Control(),
            kill_grace=0, confined=Confined(pid_namespace=namespaces),
        )  # fmt: skip


@pytest.mark.parametrize(
    "script",
    [
        "({dwell}; sleep 3600) &",
        "(trap '' TERM; {dwell}; while :; do sleep 3600; done) &",
        "setsid bash -c '{dwell}; exec sleep 3600' &",
        "(setsid bash -c 'trap \"\" TERM; {dwell}; while :; do sleep 3600; done' &) &",
        "({dwell}; kill -STOP $BASHPID; sleep 3600) &",
        "(exec >&- 2>&- <&-; {dwell}; sleep 3600) &",
    ],
    ids=["child", "deaf", "own session", "deaf daemon", "stopped", "without streams"],
)
def test_nobody_outlives_the_end_of_a_run(bash: Bash, lair: Path, script: str):
    ended = bash(f"{script.format(dwell=dwell(lair))} {once_in(lair)}; echo done")

    assert (ended.exit_code, ended.stdout.raw) == (0, b"done\n")


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (FOR_EVER, 143),
        (f"trap '' TERM; {FOR_EVER}", 137),
        ("kill -STOP $$", 143),
        (f"trap '' TERM; for n in 1 2 3; do ({FOR_EVER}) & done; wait", 137),
    ],
    ids=["sleeper", "deaf", "stopped", "family"],
)
def test_nobody_outlives_the_limit_of_a_run(bash: Bash, lair: Path, script: str, code: int):
    ended = bash(f"{dwell(lair)}; {script}", limit=1)

    assert (ended.end, ended.exit_code) == ("timeout", code)


def test_a_daemon_that_gave_up_everything_dies_with_its_run(bash: Bash):
    name = f"86400.{os.getpid()}{time.monotonic_ns()}"

    bash(f"python3 - {name} <<'END'\n{DAEMON}\nEND")

    assert running(name) == []


def test_a_comet_is_caught(bash: Bash, tmp_path: Path):
    ended = bash(f"python3 - <<'END'\n{COMET}\nEND\nuntil [ -e begun ]; do sleep 0.02; done")

    assert ended.exit_code == 0


@IN_A_NAMESPACE
def test_whoever_kills_all_it_can_kills_its_own(bash: Bash):
    ours = os.readlink("/proc/self/ns/pid")

    ended = bash(f'[ "$(readlink /proc/self/ns/pid)" != "{ours}" ] && kill -9 -1; echo alone')

    assert ended.stdout.raw == b"alone\n"


@IN_A_NAMESPACE
def test_a_fork_bomb_ends_at_the_limit(bash: Bash, lair: Path):
    confined = Confined(limits=Limits(processes=301))

    ended = bash(f"{dwell(lair)}; :(){{ :|:& }}; : 2>/dev/null; {FOR_EVER}", limit=2, confined=confined)

    assert ended.end == "timeout"


def test_a_killed_guard_takes_its_run_along(bash: Bash, namespaces: bool, lair: Path):
    when_begun(lair, lambda: [os.kill(pid, signal.SIGKILL) for pid in guards(namespaces)])
    control = Control()

    ended = bash(f"{dwell(lair)}; (setsid sleep 3600 &); trap '' TERM; {FOR_EVER}", control=control)

    assert not inhabited(lair)
    assert ended.error == GUARD_KILLED
    assert (ended.exit_code, control.reason) == (137, None)


def test_a_frozen_guard_is_ended_by_its_worker(bash: Bash, namespaces: bool, lair: Path):
    when_begun(lair, lambda: [os.kill(pid, signal.SIGSTOP) for pid in guards(namespaces)])
    # SIGCONT, which the worker sends first, wakes it: keep it frozen
    stop = threading.Event()
    threading.Thread(target=keep_frozen, args=(namespaces, lair, stop), daemon=True).start()
    try:
        ended = bash(f"{dwell(lair)}; {FOR_EVER}", limit=2)
    finally:
        stop.set()

    assert ended.end == "timeout"
    assert not inhabited(lair)


def test_runs_go_on_without_their_zygote_and_the_next_one_has_another(
    bash: Bash, namespaces: bool, lair: Path, tmp_path: Path
):
    before = zygote(namespaces).pid
    when_begun(lair, lambda: kill_zygote(namespaces, tmp_path / "go"))

    ended = bash(f"{dwell(lair)}; until [ -e go ]; do sleep 0.02; done; (setsid sleep 3600 &) ; echo fine")
    next_one = bash("echo next")

    assert (ended.exit_code, ended.stdout.raw) == (0, b"fine\n")
    assert next_one.stdout.raw == b"next\n"
    assert zygote(namespaces).pid != before


def test_a_run_ends_with_its_permit_and_is_not_the_workers_any_more(bash: Bash, lair: Path):
    control = Control(until=soon())

    ended = bash(f"{dwell(lair)}; trap '' TERM; {FOR_EVER}", control=control)

    assert (ended.end, ended.exit_code, control.reason) == ("cancelled", 137, "lost")


def test_nothing_is_started_once_the_permit_is_over(namespaces: bool, tmp_path: Path):
    """Else this would be FileNotFoundError: another worker may be at it by now."""
    control = Control(until=time.monotonic() - 1)

    ended = run_process(
        ["/nowhere/program"], env=PATH, cwd=tmp_path, stdin=b"", limit=60, control=control, kill_grace=0,
        confined=Confined(pid_namespace=namespaces),
    )  # fmt: skip

    assert (ended.end, control.reason) == ("cancelled", "lost")


def test_a_permit_ends_before_its_lease(bash: Bash, namespaces: bool, lair: Path):
    control = Control(until=time.monotonic() + 3601)
    confined = Confined(margin=3600, pid_namespace=namespaces)

    bash(f"{dwell(lair)}; {FOR_EVER}", control=control, confined=confined)

    assert control.reason == "lost"


def test_a_renewed_permit_lets_it_run(bash: Bash, lair: Path):
    control = Control(until=time.monotonic() + 4)
    when_begun(lair, lambda: control.extend(time.monotonic() + 3600))

    ended = bash(f"{dwell(lair)}; sleep 5; echo done", control=control)

    assert (ended.stdout.raw, control.reason) == (b"done\n", None)


@pytest.mark.parametrize("reason", ["cancelled", "shutdown", "lost"])
def test_a_stop_leaves_nobody(bash: Bash, lair: Path, reason: str):
    control = Control()
    when_begun(lair, lambda: control.stop(reason))

    ended = bash(f"{dwell(lair)}; (setsid sleep 3600 &) ; trap '' TERM; {FOR_EVER}", control=control)

    assert (ended.end, ended.exit_code, control.reason) == ("cancelled", 137, reason)


def test_many_runs_at_once_keep_apart(bash: Bash):
    said: dict[int, bytes] = {}

    def go(number: int) -> None:
        said[number] = bash(f"sleep 0.05; echo {number}").stdout.raw

    threads = [threading.Thread(target=go, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == {number: b"%d\n" % number for number in range(12)}


SERVED_BY = "echo $PPID; readlink /proc/self/ns/pid"


def test_one_guard_serves_one_run_after_the_other(bash: Bash):
    assert bash(SERVED_BY).stdout == bash(SERVED_BY).stdout


def test_runs_under_other_limits_have_another_guard(bash: Bash, namespaces: bool):
    confined = Confined(limits=Limits(files=64), pid_namespace=namespaces)

    bash("true")

    assert bash("ulimit -Hn", confined=confined).stdout.raw == b"64\n"
    assert int(bash("ulimit -Hn").stdout.raw) > 64


def test_a_guard_that_dies_while_it_rests_is_not_missed(bash: Bash, namespaces: bool):
    bash("true")
    for pid in guards(namespaces):
        os.kill(pid, signal.SIGKILL)

    assert bash("echo fine").stdout.raw == b"fine\n"


def test_a_guard_that_was_frozen_while_it_rested_is_woken(bash: Bash, namespaces: bool):
    bash("true")
    for pid in guards(namespaces):
        os.kill(pid, signal.SIGSTOP)

    assert bash("echo fine").stdout.raw == b"fine\n"


@pytest.mark.parametrize(
    ("change", "look"),
    [
        ("renice -n 5 -p $PPID", "nice"),
        ("prlimit --nofile=99:99 --pid $PPID", "ulimit -n"),
        ("taskset -pc 0 $PPID", "taskset -p $$ | tail -c 4"),
        ("chrt --batch -p 0 $PPID", "chrt -p $$ | head -n 1 | tail -c 12"),
    ],
    ids=["priority", "limit", "processors", "scheduling"],
)
def test_what_a_run_does_to_its_guard_the_next_one_does_not_find(bash: Bash, change: str, look: str):
    before = bash(look).stdout.raw

    changed = bash(change)

    assert changed.exit_code == 0
    assert bash(look).stdout.raw == before


@IN_A_NAMESPACE
def test_what_a_run_mounts_the_next_one_does_not_find(bash: Bash):
    mounts = "cat /proc/self/mounts"
    before = bash(mounts).stdout.raw

    bash("mount -t tmpfs none /proc/sys")

    assert bash(mounts).stdout.raw == before


@IN_A_NAMESPACE
def test_each_run_counts_its_pids_from_the_first(bash: Bash):
    count = "for n in 1 2 3; do /bin/true; done; echo $$"

    assert bash(count).stdout.raw == bash(count).stdout.raw == b"2\n"


def test_cpu_time_is_that_of_the_run_alone(namespaces: bool, tmp_path: Path):
    """Far apart: the first takes a second, by its own clock, the next one next to nothing."""
    busy = "import time\nwhile time.process_time() < 1: pass"

    spent = [cpu_of(["python3", "-c", busy], namespaces, tmp_path), cpu_of(["true"], namespaces, tmp_path)]

    assert spent[1] < 1 <= spent[0]


def test_more_environment_than_a_datagram_holds_arrives(bash: Bash):
    ended = bash('echo "${#BIG}"', env={**PATH, "BIG": "x" * 100_000, "MORE": "y" * 100_000})

    assert ended.stdout.raw == b"100000\n"


def when_begun(lair: Path, do: Callable[[], object]) -> None:
    """Do something from another thread once somebody is in the lair."""

    def wait() -> None:
        wait_for(lair.read_text)
        do()

    threading.Thread(target=wait, daemon=True).start()


def kill_zygote(namespaces: bool, then: Path) -> None:
    pid = zygote(namespaces).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    then.touch()


def keep_frozen(namespaces: bool, lair: Path, stop: threading.Event) -> None:
    wait_for(lair.read_text)
    while not stop.wait(0.005):
        for pid in guards(namespaces):
            os.kill(pid, signal.SIGSTOP)


def cpu_of(argv: list[str], namespaces: bool, cwd: Path) -> float:
    spec = Confined().specification(argv, PATH, cwd) | {"limit": None, "grace": 0}
    with open(os.devnull, "r+b") as null:
        guarded = zygote(namespaces).guard(spec, [null.fileno()] * 3)
    wait_for(lambda: (guarded.hear(), guarded.over)[1])
    guarded.close()
    assert guarded.exit is not None
    return guarded.exit.cpu
