"""The whole way of output: a real action in a worker's slot, its log while it runs, its result after."""

import time
import uuid

import pytest

from executions.models import Execution, LogChunk
from executions.requesting import Wanted, request_executions
from executions.runners import RunnerSettings
from executions.worker.process import WorkerProcess
from executions.worker.scaling import Bounds

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def worker(db, worker_service):
    process = WorkerProcess(RunnerSettings(kill_grace=0.2, result_limit=100_000), Bounds(4, 4), inside=1)
    yield process
    process.draining = True
    process.slots.stop_all()
    process.slots.wait(60)
    process.slots.close()


@pytest.fixture
def run(worker, make_action):
    def start(script, parameters=None, **values):
        ref = f"demo.s{uuid.uuid4().hex[:6]}"
        action = make_action(ref, entrypoint=script, runtime_ref="core.shell", **values)
        (row_id,) = request_executions([Wanted(action, parameters or {}, uuid.uuid4())])
        worker.take(500)
        return row_id

    return start


def wait_for(condition, seconds=120):
    ends = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < ends:
        time.sleep(0.02)
    return found


def text_of(row_id, stream="stdout"):
    chunks = LogChunk.objects.filter(execution_id=row_id, stream=stream).order_by("start")
    return b"".join(bytes(chunk.content) for chunk in chunks).decode()


def ended(row_id):
    return wait_for(lambda: Execution.objects.filter(pk=row_id, finished_at__isnull=False).first())


def test_output_can_be_read_before_the_action_ends(run, tmp_path):
    gate = tmp_path / "gate"
    row_id = run(f"echo started; while [ ! -e {gate} ]; do sleep 0.05; done; echo done")

    assert wait_for(lambda: text_of(row_id) == "started\n")
    assert Execution.objects.get(pk=row_id).status == "running"
    gate.touch()

    assert ended(row_id).result["stdout"] == "started\ndone\n"
    assert text_of(row_id) == "started\ndone\n"


def test_ten_mebibytes_on_both_streams_reach_the_result_whole(run):
    row_id = run("head -c 10485760 /dev/zero | tr '\\0' x; head -c 10485760 /dev/zero | tr '\\0' y >&2")

    result = ended(row_id).result
    assert (result["stdout"], result["stderr"]) == ("x" * 10_485_760, "y" * 10_485_760)
    assert text_of(row_id, "stderr") == result["stderr"]


def test_a_secret_is_in_neither_log_nor_result(run):
    schema = {"token": {"type": "string", "secret": True}}
    script = 'echo -n "${token:0:5}"; sleep 0.3; echo "${token:5}"; head -c 300000 /dev/zero | tr "\\0" x'
    row_id = run(script, {"token": "hunter2222"}, param_schema=schema)

    result = ended(row_id).result
    assert result["stdout"] == "********\n" + "x" * 300_000
    assert text_of(row_id) == result["stdout"]


def test_data_that_is_too_large_fails_and_its_text_is_in_the_log(run):
    row_id = run("printf '\"'; head -c 200000 /dev/zero | tr '\\0' x; printf '\"'", output_format="json")

    row = ended(row_id)
    assert (row.status, "data" in row.result) == ("failed", False)
    assert row.result["error"].startswith("The result is larger than")
    assert text_of(row_id) == '"' + "x" * 200_000 + '"'
