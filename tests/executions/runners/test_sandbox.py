"""Runs in the sandboxes `user` and `bwrap`: what they see, reach and leave."""

import dataclasses
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from executions.runners import Control, Outcome, RunnerSettings, run
from executions.runners.confine import Confined, confine
from executions.runners.folder import RunFolder, run_folder
from executions.runners.limits import Limits
from executions.runners.proving import SandboxBroken, prove
from executions.runners.sandbox import Sandbox
from executions.runners.users import NoUserLeft, lent_user
from tests.executions.runners.conftest import GRACE, JOB

UIDS = range(64000, 65000)
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives runs a user of their own")
needs_bwrap = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
in_user = pytest.mark.parametrize("mode", [pytest.param("user", marks=root_only)])
in_bwrap = pytest.mark.parametrize("mode", [pytest.param("bwrap", marks=needs_bwrap)])

Caged = Callable[..., Outcome]


@pytest.fixture
def host() -> Iterator[Path]:
    """A folder that others can pass: pytest's own are closed to them."""
    path = Path(tempfile.gettempdir(), f"sandbox-{uuid.uuid4().hex}")
    path.mkdir(mode=0o755)
    (path / "runs").mkdir(mode=0o755)
    (path / "data" / "artifacts").mkdir(parents=True)
    (path / "data" / "secret").write_text("keep out")
    (path / "data").chmod(0o711)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def settings(mode: str, host: Path) -> RunnerSettings:
    home = Path.home()
    interpreter = Path(os.path.realpath(sys.executable)).parents[1]
    return RunnerSettings(
        runs_dir=host / "runs",
        artifacts_dir=host / "data" / "artifacts",
        kill_grace=GRACE,
        sandbox=Sandbox(mode=mode, uids=UIDS, hidden=(host / "data", home), shown=(interpreter,)),  # type: ignore[arg-type]
    )


@pytest.fixture
def caged(settings: RunnerSettings) -> Caged:
    """Run a script in the sandbox: `caged("id -u", limits={"files": 9})`."""

    def start(script: str, limit: float = 60, **job: object) -> Outcome:
        given = dataclasses.replace(
            JOB,
            action_ref="demo.try",
            runtime_ref="core.shell",
            entrypoint=script,
            timeout_seconds=limit,
            **job,
        )
        return run(given, Control(), settings)

    return start


both = pytest.mark.parametrize(
    "mode", [pytest.param("user", marks=root_only), pytest.param("bwrap", marks=[needs_bwrap, root_only])]
)


@both
def test_a_run_is_somebody_without_rights(caged: Caged):
    outcome = caged("id -u; id -G; grep -E 'CapEff|NoNewPrivs' /proc/self/status")

    uid, groups, no_new_privs, capabilities = outcome.result["stdout"].splitlines()
    assert int(uid) in UIDS
    assert groups == uid
    assert (no_new_privs.split()[1], int(capabilities.split()[1], 16)) in (("1", 0), ("0000000000000000", 1))


@both
def test_its_home_and_parameters_are_its_own(caged: Caged):
    outcome = caged(
        'touch "$HOME/file"; cat "$ATTUNE_PARAMETER_FILE"; stat -c %a "$ATTUNE_PARAMETER_FILE" "$HOME"',
        parameter_delivery="file",
        parameters={"a": 1},
    )

    assert outcome.result["stdout"].splitlines() == ['{"a":1}', "400", "700"]


@both
def test_it_sees_no_process_but_its_own(caged: Caged):
    outcome = caged("ls -d /proc/[0-9]* | wc -l")

    assert int(outcome.result["stdout"]) < 8


@both
def test_it_sees_no_shared_memory_of_a_run_before(caged: Caged):
    caged("ipcmk --shmem 4096")

    outcome = caged("ipcs --shmems | grep -c ^0x")

    assert outcome.result["stdout"] == "0\n"


@both
def test_it_can_not_raise_its_limits(caged: Caged):
    outcome = caged("ulimit -n 4096 2>/dev/null || true; ulimit -n", limits={"files": 128, "processes": 50})

    assert outcome.result["stdout"].split()[0] == "128"


@both
def test_its_processes_are_limited(caged: Caged):
    outcome = caged("for n in $(seq 60); do sleep 3600 & done; wait", limit=3, limits={"processes": 20})

    assert "fork" in outcome.result["stderr"]


@both
def test_two_runs_are_two_users(settings: RunnerSettings):
    with (
        run_folder(settings.runs_dir, settings.sandbox) as one,
        run_folder(settings.runs_dir, settings.sandbox) as two,
    ):
        assert one.user is not None
        assert two.user is not None
        assert one.user.uid != two.user.uid
        assert (one.home.stat().st_uid, two.home.stat().st_uid) == (one.user.uid, two.user.uid)


@both
def test_it_has_time_for_its_last_words(settings: RunnerSettings):
    patient = dataclasses.replace(settings, kill_grace=60)
    script = "trap 'echo cleaned; exit 0' TERM; sleep 3600 & wait"
    job = dataclasses.replace(JOB, runtime_ref="core.shell", entrypoint=script, timeout_seconds=1.5)

    outcome = run(job, Control(), patient)

    assert (outcome.status, outcome.result["stdout"]) == ("timeout", "cleaned\n")


@both
def test_whoever_ignores_the_end_is_killed(caged: Caged):
    outcome = caged("trap '' TERM; (setsid sleep 3600 &); while :; do sleep 3600; done", limit=1.5)

    assert (outcome.status, outcome.result["exit_code"]) == ("timeout", 137)


@both
def test_exit_codes_and_signals_are_told(caged: Caged):
    assert caged("exit 7").result["exit_code"] == 7
    assert caged("kill -SEGV $$").result["exit_code"] == 139


@both
def test_a_burnt_limit_of_cpu_time_is_the_reason(caged: Caged):
    outcome = caged("while :; do :; done", limits={"cpu_seconds": 1})

    assert outcome.result["error"] == "Went over its CPU limit of 1 s (SIGXCPU)"


@both
def test_a_sandbox_that_works_is_proven(settings: RunnerSettings):
    proven = prove(settings)

    assert (proven.own_user, proven.no_new_privs, proven.pid_namespace) == (True, True, True)
    assert proven.files_hidden == (settings.sandbox.mode == "bwrap")
    assert str(proven).startswith(f"{settings.sandbox.mode} (a user of its own for each run")


@in_user
def test_a_closed_folder_is_named(host: Path, settings: RunnerSettings):
    pack = host / "closed" / "pack"
    (pack / "actions").mkdir(parents=True)
    (pack / "actions" / "try.sh").write_text("echo ran")
    (host / "closed").chmod(0o700)
    job = dataclasses.replace(JOB, runtime_ref="core.shell", entrypoint="try.sh", pack_dir=pack)

    outcome = run(job, Control(), settings)

    assert outcome.status == "failed"
    assert f"chmod o+x {host / 'closed'}" in outcome.result["error"]


@in_user
def test_a_file_that_it_may_not_read_is_named(host: Path, settings: RunnerSettings):
    file = host / "pack" / "actions" / "try.sh"
    file.parent.mkdir(parents=True)
    file.write_text("echo ran")
    file.chmod(0o600)
    job = dataclasses.replace(JOB, runtime_ref="core.shell", entrypoint="try.sh", pack_dir=host / "pack")

    outcome = run(job, Control(), settings)

    assert f"chmod o+r {file}" in outcome.result["error"]


@in_user
def test_a_user_is_lent_once(mode: str):
    with lent_user(range(64990, 64991)), pytest.raises(NoUserLeft), lent_user(range(64990, 64991)):
        pass


@in_user
def test_a_user_is_free_when_nobody_of_its_run_is_left(mode: str, host: Path):
    with lent_user(range(64991, 64992)) as user:
        held = os.dup(user.lock)  # as the guard does
    with pytest.raises(NoUserLeft), lent_user(range(64991, 64992)):
        pass
    os.close(held)
    with lent_user(range(64991, 64992)) as again:
        assert again.uid == 64991


@in_bwrap
def test_the_host_is_read_only_and_its_data_is_hidden(caged: Caged, host: Path):
    outcome = caged(
        f"ls -A {host / 'data'} '{Path.home()}' /tmp /run; touch /usr/x {host}/x; "
        f"cat {host / 'data' / 'secret'}; echo left > $ATTUNE_ARTIFACTS_DIR/${{ATTUNE_EXEC_ID}}; true"
    )

    assert "keep out" not in str(outcome.result)
    assert "Read-only file system" in outcome.result["stderr"]
    assert "secret" not in outcome.result["stdout"]


@in_bwrap
def test_the_interpreter_of_actions_is_seen_wherever_it_lies(caged: Caged):
    outcome = caged(f"{os.path.realpath(sys.executable)} -I -c 'import ssl, json; print(6 * 7)'")

    assert outcome.result["stdout"] == "42\n"


@in_bwrap
def test_a_pack_in_a_hidden_folder_is_seen_and_can_not_be_changed(host: Path, settings: RunnerSettings):
    pack = host / "data" / "packs" / "demo"
    (pack / "actions").mkdir(parents=True)
    (pack / "actions" / "try.sh").write_text("pwd; ls; touch actions/new")
    job = dataclasses.replace(JOB, runtime_ref="core.shell", entrypoint="try.sh", pack_dir=pack)

    outcome = run(job, Control(), settings)

    assert outcome.result["stdout"] == f"{pack}\nactions\n"
    assert "Read-only file system" in outcome.result["error"]


@in_bwrap
def test_a_hidden_folder_that_is_seen_breaks_the_sandbox(
    settings: RunnerSettings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("executions.runners.confine._empty", lambda _hidden: [])

    with pytest.raises(SandboxBroken, match="ATTUNE_SANDBOX=bwrap does not work here: the probe could see"):
        prove(settings)


@in_bwrap
def test_a_host_without_bubblewrap_is_told_so(settings: RunnerSettings, host: Path):
    with pytest.raises(SandboxBroken, match="there is no bwrap on this host: install bubblewrap"):
        prove(dataclasses.replace(settings, path=str(host)))


def test_a_user_of_its_own_needs_root(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(SandboxBroken, match="only root can give each run a user of its own"):
        prove(RunnerSettings(sandbox=Sandbox(mode="user")))


def test_without_a_sandbox_it_is_said_who_runs(tmp_path: Path):
    proven = prove(RunnerSettings(runs_dir=tmp_path))

    assert (proven.mode, proven.no_new_privs, proven.own_user) == ("none", True, False)
    assert str(proven).startswith("none (actions run as ")


def test_a_sandbox_that_is_the_workers_own_user_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Sandbox, "lends_users", True)
    monkeypatch.setattr("executions.runners.folder.lent_user", no_user)

    with pytest.raises(SandboxBroken, match="the probe ran as the worker's own user"):
        prove(RunnerSettings(runs_dir=tmp_path, sandbox=Sandbox()))


class no_user:
    def __init__(self, uids: range) -> None:
        pass

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


def test_text_that_no_exec_takes_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="null byte"):
        Confined().specification(["true", "a\0b"], {}, tmp_path)


def test_an_action_can_lower_its_limits(tmp_path: Path):
    job = dataclasses.replace(JOB, limits={"files": 9})
    settings = RunnerSettings(sandbox=Sandbox(limits=Limits(files=100)))

    confined = confine(job, settings, RunFolder(tmp_path, tmp_path), tmp_path)

    assert confined.limits.files == 9
