"""Real actions through a worker process: what they leave is there when their result is."""

import os
import time
import uuid
from hashlib import sha256

import pytest

from executions.artifacts.folder import REMOVED
from executions.artifacts.told import teller
from executions.models import Artifact, ArtifactVersion, Execution, Progress
from executions.requesting import Wanted, request_executions
from executions.runners import RunnerSettings
from executions.worker.logs import flusher
from executions.worker.process import WorkerProcess
from executions.worker.scaling import Bounds

pytestmark = pytest.mark.django_db(transaction=True)
SCRIPT = """
cd "$ATTUNE_ARTIFACTS_DIR/$ATTUNE_EXEC_ID"
echo "::attune progress percent=10 text=begun"
mkdir out
printf 'a,b\\n1,2\\n' > out/table.csv
head -c 3000000 /dev/zero > zeros.bin
ln -s /etc/passwd passwd
echo '::attune artifact name=summary value={"rows": 1}'
echo '::attune url name=site url=https://example.org/x'
echo '::attune progress percent=x'
printf '::attune progress percent=100 text=done'
"""


@pytest.fixture
def shared(tmp_path):
    return tmp_path / "artifacts"


@pytest.fixture
def worker(db, worker_service, shared):
    process = WorkerProcess(RunnerSettings(kill_grace=0.2, artifacts_dir=shared), Bounds(2, 2), inside=2)
    yield process
    process.draining = True  # or a freed slot claims again
    process.slots.stop_all()
    process.slots.wait(60)
    process.slots.close()
    flusher.close()
    assert wait_for(lambda: teller._thread is None)


@pytest.fixture
def run_shell(worker, make_action):
    """Run a script to its end, through the worker; return the execution."""

    def run(script, status="completed", parameters=None, **values):
        ref = f"demo.a{Execution.objects.count()}"
        action = make_action(ref, runtime_ref="core.shell", entrypoint=script, **values)
        [row_id] = request_executions([Wanted(action, parameters or {}, uuid.uuid4())])
        worker.take(500)
        assert wait_for(lambda: Execution.objects.get(pk=row_id).finished_at is not None)
        execution = Execution.objects.get(pk=row_id)
        assert execution.status == status, execution.result
        return execution

    return run


def wait_for(condition, seconds=120):
    ends = time.monotonic() + seconds
    while not condition() and time.monotonic() < ends:
        time.sleep(0.02)
    return condition()


def names(shared):
    return [name for name in os.listdir(shared) if not name.startswith(REMOVED)]


def test_files_values_and_progress_are_there_with_the_result(run_shell, shared):
    execution = run_shell(SCRIPT)

    found = {one.name: one for one in Artifact.objects.filter(execution=execution)}
    assert set(found) == {"out/table.csv", "zeros.bin", "summary", "site"}
    assert found["out/table.csv"].ref == f"execution.{execution.pk}.out.table.csv"
    assert found["summary"].data == {"rows": 1}
    assert found["site"].data == {"url": "https://example.org/x"}
    version = ArtifactVersion.objects.get(artifact=found["zeros.bin"])
    assert (version.size_bytes, version.sha256) == (3_000_000, sha256(bytes(3_000_000)).hexdigest())
    assert Progress.objects.get().execution_id == execution.pk
    assert (Progress.objects.get().percent, Progress.objects.get().text) == (100.0, "done")
    assert execution.result["artifact_warnings"] == [
        "::attune progress percent=x: percent='x' is no number",
        "passwd: a link",
    ]
    assert "::attune url" in execution.result["stdout"]
    assert names(shared) == []


def test_what_leaves_nothing_has_no_warnings(run_shell):
    assert "artifact_warnings" not in run_shell("echo hello").result


def test_what_actions_keep_in_the_shared_folder_stays(run_shell, shared):
    run_shell('mkdir "$ATTUNE_ARTIFACTS_DIR/cache"; echo x > "$ATTUNE_ARTIFACTS_DIR/cache/f"')

    execution = run_shell('cat "$ATTUNE_ARTIFACTS_DIR/cache/f"')

    assert execution.result["stdout"] == "x\n"
    assert names(shared) == ["cache"]


@pytest.mark.parametrize(
    ("script", "status", "values"),
    [("exit 3", "failed", {}), ("sleep 100", "timeout", {"timeout_seconds": 1})],
)
def test_a_bad_end_keeps_what_was_left(run_shell, shared, script, status, values):
    execution = run_shell(f'echo x > "$ATTUNE_ARTIFACTS_DIR/$ATTUNE_EXEC_ID/f"; {script}', status, **values)

    assert Artifact.objects.get().execution_id == execution.pk
    assert names(shared) == []


def test_secrets_do_not_get_out_by_the_line_protocol(run_shell):
    schema = {"token": {"type": "string", "secret": True}}
    run_shell(
        'echo "::attune progress text=$token"; echo "::attune artifact name=t value=\\"$token\\""',
        parameters={"token": "hunter2hunter2"},
        param_schema=schema,
    )

    assert Progress.objects.get().text == "********"
    assert Artifact.objects.get().data == "********"


def test_an_action_may_remove_its_folder(run_shell):
    execution = run_shell('rm -r "$ATTUNE_ARTIFACTS_DIR/$ATTUNE_EXEC_ID"')

    assert "artifact_warnings" not in execution.result


def test_builtin_actions_have_no_folder(worker, make_action, shared):
    request_executions([Wanted(make_action(), {"message": "x"}, uuid.uuid4())])

    worker.take(500)

    assert Execution.objects.get().status == "completed"
    assert not shared.exists()


def test_a_host_that_can_not_make_the_folder_still_runs_the_action(run_shell, shared):
    shared.write_text("a file")

    execution = run_shell("echo hello")

    assert execution.result["artifact_warnings"] == ["there was no folder for files"]
