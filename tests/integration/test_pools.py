"""A pool comes to be while everything runs, and its worker is drained."""

import json

import pytest
from kombu import Connection

from attune_project.messaging import inspection
from tests.integration.spine import SLOW_POLLS, Spine, until

pytestmark = [pytest.mark.rabbitmq, pytest.mark.postgres]
SETTINGS = SLOW_POLLS  # so that what is quick here was rung for
PACK = "ref: tapes\nlabel: Tapes\nversion: 1.0.0\nworker_pools: [spare]\n"
ACTION = "ref: tapes.wind\nlabel: Wind\nrunner_type: shell\nworker_pool: tape\nentry_point: sleep $seconds\n"


@pytest.fixture(scope="module")
def token(spine: Spine) -> str:
    return spine.token()


@pytest.fixture
def tapes(running: Spine) -> Spine:
    """Everything running since before a pack named its pools."""
    folder = running.folder / "tapes"
    (folder / "actions").mkdir(parents=True, exist_ok=True)
    (folder / "pack.yaml").write_text(PACK)
    (folder / "actions" / "wind.yaml").write_text(ACTION)
    running.manage("load_pack", str(folder))
    return running


def execute(spine: Spine, token: str, seconds: float) -> int:
    body = {"action_ref": "tapes.wind", "parameters": {"seconds": seconds}}
    status, answer = spine.post("/api/v1/executions/execute", body, token)
    assert status == 201, answer
    return int(json.loads(answer)["data"]["id"])


def of(spine: Spine, row_id: int, column: str = "status") -> str:
    return str(spine.one(f"SELECT {column} FROM execution WHERE id = %s", row_id))


def probed(spine: Spine, pool: str) -> int:
    return int(
        spine.one("SELECT count(*) FROM message_probe WHERE routing_key = %s", f"execution.requested.{pool}")
    )


def test_a_pool_that_a_pack_names_works_without_a_restart_and_its_worker_is_drained(tapes: Spine, token: str):
    assert until(lambda: probed(tapes, "tape") >= 3, 120), "web, executor and worker probe it"
    assert probed(tapes, "spare") >= 1
    with Connection(tapes.broker_url) as connection:
        assert inspection.look_at_queue(connection, "attune.execution.requests.tape.queue").depth is not None
    waiting = execute(tapes, token, 0)
    assert until(lambda: of(tapes, waiting, "status_reason") == "no worker in pool tape", 120)

    tapes.start("worker:tape", ATTUNE_WORKER_POOL="tape")
    assert until(lambda: of(tapes, waiting) == "completed", 120)
    repairs = tapes.repairs()
    rung = execute(tapes, token, 0)
    assert until(lambda: of(tapes, rung) == "completed", 120)
    assert tapes.repairs() == repairs

    running = execute(tapes, token, 5)
    assert until(lambda: of(tapes, running) == "running", 120, step=0.1)
    name = tapes.one("SELECT name FROM worker WHERE pool = 'tape' AND status <> 'inactive'")
    said = tapes.manage("worker", "drain", str(name), "--wait", "--reason", "new tapes").stdout

    assert said == f"{name}: inactive\n"
    assert of(tapes, running) == "completed"
    assert tapes.processes.pop("worker:tape").wait(timeout=120) == 0
    late = execute(tapes, token, 0)
    assert until(lambda: of(tapes, late, "status_reason") == "no worker in pool tape", 120)
    assert tapes.post(f"/api/v1/executions/{late}/cancel", {}, token)[0] == 200
    assert tapes.invariants() == ""
