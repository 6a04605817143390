"""A policy over real services: slots hold and nobody is forgotten while services are killed."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.spine import SLOW_POLLS, Spine, until

pytestmark = [pytest.mark.rabbitmq, pytest.mark.postgres]
SETTINGS = {**SLOW_POLLS, "ATTUNE_LEASE_SECONDS": "3"}
EXECUTORS = ("executor", "executor:2")
COUNT = 60
MOST_HELD = (
    "SELECT COALESCE(max(held), 0) FROM (SELECT count(*) AS held FROM policy_slot GROUP BY group_key) x"
)


@pytest.fixture(scope="module")
def token(spine: Spine) -> str:
    return spine.token()


@pytest.fixture
def limited(running: Spine, token: str) -> Iterator[Spine]:
    """Everything running with two executors, and a policy of two slots for each value of `group`."""
    if EXECUTORS[1] not in running.processes:
        running.start(EXECUTORS[1])
    body = {"ref": "it.two", "action_ref": "core.sleep", "threshold": 2, "method": "enqueue",
            "parameters": ["group"]}  # fmt: skip
    status, answer = running.post("/api/v1/policies", body, token)
    assert status == 201, answer
    yield running
    running.sql("DELETE FROM policy_slot")
    running.sql("DELETE FROM policy_group")
    running.sql("DELETE FROM policy")


def execute(spine: Spine, token: str, group: int, seconds: float = 0.05) -> int:
    body = {"action_ref": "core.sleep", "parameters": {"seconds": seconds, "group": group}}
    status, answer = spine.post("/api/v1/executions/execute", body, token)
    assert status == 201, answer
    return int(json.loads(answer)["data"]["id"])


def ended(spine: Spine, ids: list[int]) -> bool:
    alive = "SELECT count(*) FROM execution WHERE id = ANY(%s) AND settled_at IS NULL"
    return spine.one(alive, ids) == 0


@pytest.mark.timeout(600)
def test_slots_hold_while_executors_and_workers_are_killed(limited: Spine, token: str):
    most: list[int] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            most.append(limited.one(MOST_HELD))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with ThreadPoolExecutor(8) as people:
            ids = list(people.map(lambda n: execute(limited, token, n % 3, 1), range(COUNT)))
        for name in ("executor", "worker", EXECUTORS[1]):
            limited.kill(name)
            limited.start(name)
        assert until(lambda: ended(limited, ids), 240)
    finally:
        over.set()
        watcher.join()

    statuses = limited.sql("SELECT status, count(*) FROM execution WHERE id = ANY(%s) GROUP BY 1", [ids])
    assert dict(statuses) == {"completed": COUNT}
    assert max(most) == 2
    assert limited.one("SELECT count(*) FROM policy_slot") == 0
    assert limited.invariants() == ""


def test_who_waits_is_let_in_by_the_message_of_an_end_and_it_is_no_repair(limited: Spine, token: str):
    count, before = 20, limited.repairs()

    ids = [execute(limited, token, 9) for _ in range(count)]

    assert until(lambda: ended(limited, ids), 240)
    # A poll may come before a message where the machine is busy; without messages it would be all of them.
    assert limited.repairs() - before < count / 2
