"""Workers are killed and frozen while they run programs: nothing is lost, nothing runs twice at once.

A few rounds in CI; `ATTUNE_TEST_ROUNDS=500` for the long form.
"""

import os
import random
import signal
import time

import pytest

from tests.integration.spine import Spine, until
from tests.integration.telling import execute, overlaps, write_pack

pytestmark = [pytest.mark.rabbitmq, pytest.mark.postgres]
LEASE = 3.0
SETTINGS = {"ATTUNE_LEASE_SECONDS": f"{LEASE:g}", "ATTUNE_HEARTBEAT_SECONDS": "0.5"}
WORKERS = ("worker:1", "worker:2")
ROUNDS = int(os.environ.get("ATTUNE_TEST_ROUNDS", "4"))
AT_ONCE = 6


@pytest.mark.timeout(120 + 60 * ROUNDS)
def test_no_two_attempts_overlap_and_none_is_lost(spine: Spine):
    write_pack(spine, spine.folder / "telling", rounds=60)
    spine.manage("load_pack", str(spine.folder / "telling"))
    spine.start("notifier", "executor", "sensor", "web", "beat", *WORKERS)
    token = spine.token()
    chance = random.Random(20_261_123)
    ids = []

    for number in range(ROUNDS):
        ids += [execute(spine, token) for _ in range(AT_ONCE)]
        time.sleep(chance.uniform(0.1, 1.0))
        victim = chance.choice(WORKERS)
        if number % 2:
            process = spine.processes[victim]
            process.send_signal(signal.SIGSTOP)
            time.sleep(LEASE * chance.uniform(0.5, 2.5))
            process.send_signal(signal.SIGCONT)
        else:
            process = spine.processes.pop(victim)
            process.kill()  # it alone: what it started is to be ended by its guards
            process.wait()
            spine.start(victim)

    assert until(lambda: unfinished(spine, ids) == 0, 240)
    assert spine.sql("SELECT DISTINCT status FROM execution WHERE id = ANY(%s)", [ids]) == [("completed",)]
    assert overlaps(spine) == []
    tries = "SELECT count(*), count(*) FILTER (WHERE status = 'completed') FROM attempt"
    ((attempts, completed),) = spine.sql(f"{tries} WHERE execution_id = ANY(%s)", [ids])
    assert attempts > completed == len(ids), "somebody was lost, and each was completed once"
    assert spine.invariants() == ""


def unfinished(spine: Spine, ids: list[int]) -> int:
    return int(spine.one("SELECT count(*) FROM execution WHERE id = ANY(%s) AND finished_at IS NULL", ids))
