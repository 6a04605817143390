"""Workers on other hosts: what they need, and what happens when the cable is pulled."""

import shutil
import signal
from collections.abc import Iterator
from itertools import pairwise

import pytest

from tests.integration import hosts
from tests.integration.hosts import Host, other_host
from tests.integration.spine import Spine, until
from tests.integration.telling import execute, runs, write_pack

pytestmark = [
    pytest.mark.rabbitmq,
    pytest.mark.postgres,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not hosts.possible(), reason="needs root and network namespaces"),
]
SETTINGS = {"ATTUNE_LEASE_SECONDS": "3", "ATTUNE_HEARTBEAT_SECONDS": "0.5", "ATTUNE_POLL_SECONDS": "1"}


@pytest.fixture(scope="module")
def token(spine: Spine) -> str:
    return spine.token()


@pytest.fixture(scope="module")
def host_b(spine: Spine) -> Iterator[Host]:
    """Another host, with its own copy of a pack that was loaded somewhere else."""
    spine.environment["ATTUNE_PACKS_DIR"] = str(spine.folder / "host-a" / "packs")
    loaded = spine.folder / "loaded"
    write_pack(spine, loaded)
    spine.manage("load_pack", str(loaded))
    with other_host(spine, "b") as host:
        for name in ("host-a", "host-b"):
            write_pack(spine, spine.folder / name / "packs" / "hosts")
        shutil.rmtree(loaded)
        spine.start("notifier", "executor", "sensor", "web", "beat")
        yield host


def status_of(spine: Spine, row_id: int) -> str:
    return str(spine.one("SELECT status FROM execution WHERE id = %s", row_id))


@pytest.mark.parametrize("frozen", [False, True], ids=["running", "frozen"])
def test_a_host_that_is_cut_off_ends_its_action_before_another_begins_it(
    spine: Spine, host_b: Host, token: str, frozen: bool
):
    process = host_b.start_worker()
    row_id = execute(spine, token)
    assert until(lambda: runs(spine, row_id), 120, step=0.05)

    host_b.cut()
    if frozen:
        process.send_signal(signal.SIGSTOP)
    try:
        spine.start("worker", ATTUNE_WORKER_LABELS="host=a", ATTUNE_DATA_DIR=str(spine.folder / "host-a"))
        assert until(lambda: status_of(spine, row_id) == "completed", 120)
    finally:
        process.send_signal(signal.SIGCONT)
        host_b.mend()

    spans = runs(spine, row_id)
    assert len(spans) > 1
    assert all(ended < begun for (_, ended), (begun, _) in pairwise(spans)), spans
    tries = spine.sql(
        "SELECT t.status, w.capabilities -> 'labels' ->> 'host' FROM attempt t JOIN worker w"
        " ON w.id = t.worker_id WHERE t.execution_id = %s ORDER BY t.number",
        [row_id],
    )
    assert {status for status, _ in tries[:-1]} == {"abandoned"}
    assert (tries[0][1], tries[-1]) == ("b", ("completed", "a"))
    spine.terminate("worker")
    other = execute(spine, token, worker_selector={"host": "b"})
    assert until(lambda: runs(spine, other), 120, step=0.1), "a host that was cut off works again"
    assert spine.post(f"/api/v1/executions/{other}/cancel", {}, token)[0] == 200
    assert until(lambda: status_of(spine, other) == "cancelled", 120)
    process.terminate()
    process.wait(timeout=60)
    assert spine.invariants() == ""


def test_a_host_with_another_version_of_a_pack_leaves_it_alone_and_says_so(
    spine: Spine, host_b: Host, token: str
):
    write_pack(spine, host_b.folder / "packs" / "hosts", "0.9.0")
    process = host_b.start_worker()
    row_id = execute(spine, token)

    def reason() -> str:
        return str(spine.one("SELECT status_reason FROM execution WHERE id = %s", row_id))

    assert until(lambda: "has a copy of the pack hosts 1.0.0" in reason(), 120), reason()
    assert runs(spine, row_id) == []

    write_pack(spine, host_b.folder / "packs" / "hosts")
    assert until(lambda: runs(spine, row_id), 120, step=0.1)
    assert spine.post(f"/api/v1/executions/{row_id}/cancel", {}, token)[0] == 200
    assert until(lambda: status_of(spine, row_id) == "cancelled", 120)
    process.terminate()
    process.wait(timeout=60)
