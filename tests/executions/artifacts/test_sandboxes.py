"""What runs leave when each has a user of its own: theirs to write, ours to read, and no way out."""

import os
import shutil
import tempfile
import uuid
from pathlib import Path

import pytest

from executions.artifacts.collecting import collect
from executions.artifacts.folder import RunFolder
from executions.models import Artifact
from executions.runners import Control, Job, RunnerSettings, run
from executions.runners.sandbox import Sandbox

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a run a user of its own"),
    pytest.mark.usefixtures("worker_service"),
]


@pytest.fixture
def host():
    """A host whose folders every user can reach."""
    base = Path(tempfile.mkdtemp(prefix="attune-test-"))
    base.chmod(0o755)
    (base / "runs").mkdir(mode=0o755)
    sandbox = Sandbox(mode="user", pid_namespace=False)
    yield RunnerSettings(
        artifacts_dir=base / "artifacts", runs_dir=base / "runs", sandbox=sandbox, kill_grace=0.2
    )
    shutil.rmtree(base)


@pytest.fixture
def leave(host, make_run):
    """Run a script as an execution of its own; return its outcome, the warnings and the folder."""

    def leave(script):
        claimed = make_run(action_ref=f"demo.{uuid.uuid4().hex}")
        left = RunFolder(host.artifacts_dir, claimed.id)
        job = Job(claimed.id, "demo.leave", "demo", "core.shell", script, {})
        outcome = run(job, Control(), host)
        warnings = collect(claimed, left)
        left.discard()
        return outcome.result, warnings

    return leave


def test_the_runs_user_writes_there(leave):
    result, warnings = leave('cd "$ATTUNE_ARTIFACTS_DIR/$ATTUNE_EXEC_ID"; id -u > uid; chmod 0 uid')

    assert (result.get("error"), warnings) == (None, [])
    assert Artifact.objects.get().name == "uid"


def test_another_runs_folder_is_closed(leave, host):
    other = RunFolder(host.artifacts_dir, 1)
    (other.path / "secret").write_text("s")

    result, _ = leave('cat "$ATTUNE_ARTIFACTS_DIR/1/secret"; rm -r "$ATTUNE_ARTIFACTS_DIR/1"; exit 0')

    assert "Permission denied" in result["stderr"]
    assert (other.path / "secret").exists()
    other.discard()


def test_a_file_of_another_user_is_not_taken(leave, host):
    """As root alone could have put it there, it stands for a link that reaches out."""
    host.artifacts_dir.mkdir()
    foreign = host.artifacts_dir / "foreign"
    foreign.write_text("s")
    foreign.chmod(0o666)

    _, warnings = leave(
        'ln "$ATTUNE_ARTIFACTS_DIR/foreign" "$ATTUNE_ARTIFACTS_DIR/$ATTUNE_EXEC_ID/mine"; exit 0'
    )

    assert warnings in (["mine: belongs to another user"], [])
    assert not Artifact.objects.exists()


def test_what_runs_keep_for_each_other_is_shared(leave):
    leave('echo x > "$ATTUNE_ARTIFACTS_DIR/kept"; chmod 644 "$ATTUNE_ARTIFACTS_DIR/kept"')

    result, _ = leave('cat "$ATTUNE_ARTIFACTS_DIR/kept"')

    assert result["stdout"] == "x\n"
