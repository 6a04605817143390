"""Several workers on one queue, cancels, and a worker that is told to go."""

import fcntl
import json
import time
from pathlib import Path

import pytest

from tests.integration.spine import SLOW_POLLS, Spine, until

pytestmark = [pytest.mark.rabbitmq, pytest.mark.postgres]
SETTINGS = SLOW_POLLS
SECOND = "worker:2"
AN_HOUR = 3600


@pytest.fixture(scope="module")
def token(spine: Spine) -> str:
    return spine.token()


@pytest.fixture
def attune(running: Spine) -> Spine:
    """Everything running, with two workers that know of each other: each heartbeat looks for others."""
    if SECOND not in running.processes:
        running.start(SECOND)
    assert until(lambda: running.one(_ACQUAINTED), 60), running.sql("TABLE worker")
    return running


_ACQUAINTED = """
SELECT count(*) = 2 AND min(last_heartbeat) > max(created)
FROM worker WHERE status IN ('active', 'busy')
"""


def execute(spine: Spine, token: str, seconds: int) -> int:
    """Run `it.long` through the API; return the execution's id."""
    body = {"action_ref": "it.long", "parameters": {"seconds": seconds}}
    status, answer = spine.post("/api/v1/executions/execute", body, token)
    assert status == 201, answer
    return int(json.loads(answer)["data"]["id"])


def status_of(spine: Spine, row_id: int) -> str:
    return str(spine.one("SELECT status FROM execution WHERE id = %s", row_id))


def processes_of(spine: Spine, row_id: int) -> list[Path]:
    """Return the files that the processes of an execution of `it.long` hold a lock of, first to last."""
    path = spine.folder / "artifacts" / "processes"
    pairs = (line.split() for line in path.read_text().splitlines()) if path.exists() else ()
    return [path.with_name(lock) for found, lock in pairs if int(found) == row_id]


def runs(spine: Spine, row_id: int, times: int = 1) -> bool:
    """Wait until an execution's process has started for the given time."""
    return until(lambda: len(processes_of(spine, row_id)) >= times, 120, step=0.1)


def alive(lock: Path) -> bool:
    """Tell whether a process holds its lock: its id may be one of a namespace of its own."""
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def worker_of(spine: Spine, row_id: int) -> str:
    """Return the name of the worker process that runs an execution."""
    pid = spine.one(
        "SELECT (w.meta ->> 'pid')::int FROM execution x JOIN worker w ON w.id = x.worker_id WHERE x.id = %s",
        row_id,
    )
    return next(name for name, process in spine.processes.items() if process.pid == pid)


def test_two_workers_share_the_work(attune: Spine):
    before, repairs = attune.one("SELECT COALESCE(max(id), 0) FROM execution"), attune.repairs()

    assert attune.record(200, trigger="it.sleepy", batch=50) == 200

    assert attune.settled("it.sleepy")
    tries = attune.sql(
        "SELECT a.worker_id, count(*), count(DISTINCT a.execution_id) FROM attempt a"
        " JOIN execution x ON x.id = a.execution_id"
        " WHERE x.id > %s AND x.trigger_ref = 'it.sleepy' AND a.status = 'completed' GROUP BY 1",
        [before],
    )
    assert len(tries) == 2
    assert all(count > 20 for _, count, _ in tries), tries
    assert sum(count for _, count, _ in tries) == sum(distinct for _, _, distinct in tries) == 200
    assert attune.one("SELECT count(*) FROM attempt WHERE execution_id > %s AND number > 1", before) == 0
    assert attune.repairs() == repairs


def test_a_running_action_is_cancelled(attune: Spine, token: str):
    row_id = execute(attune, token, AN_HOUR)
    assert runs(attune, row_id)
    began = time.monotonic()

    status, body = attune.post(f"/api/v1/executions/{row_id}/cancel", {}, token)

    assert status == 200, body
    assert until(lambda: status_of(attune, row_id) == "cancelled", 60, step=0.1)
    print(f"cancelled after {time.monotonic() - began:.1f} s")
    assert not any(alive(lock) for lock in processes_of(attune, row_id))


def test_a_worker_that_is_told_to_go_finishes_what_it_runs(attune: Spine, token: str):
    row_id = execute(attune, token, 2)
    assert runs(attune, row_id)

    attune.terminate(worker_of(attune, row_id))

    assert status_of(attune, row_id) == "completed"
    assert attune.one("SELECT count(*) FROM attempt WHERE execution_id = %s", row_id) == 1


def test_what_a_leaving_worker_cannot_finish_is_done_by_another(attune: Spine, token: str):
    row_id = execute(attune, token, AN_HOUR)
    assert runs(attune, row_id)
    first = worker_of(attune, row_id)

    attune.terminate(first)

    assert runs(attune, row_id, times=2)
    assert worker_of(attune, row_id) != first
    assert not alive(processes_of(attune, row_id)[0])
    assert attune.post(f"/api/v1/executions/{row_id}/cancel", {}, token)[0] == 200
    assert until(lambda: status_of(attune, row_id) == "cancelled", 60)
    assert attune.invariants() == ""
