"""The zoo: three workers, one for each sandbox, and every animal in them at once."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.servers import free_port, fresh_database, fresh_vhost
from tests.integration.spine import Spine
from tests.zoo.animals import ANIMALS
from tests.zoo.keeper import OF_THE_SANDBOX, Keeper, write_pack
from tests.zoo.streams import STREAMS

WORKERS = {"worker": "none", "worker:user": "user", "worker:bwrap": "bwrap"}


@pytest.fixture(scope="session")
def zoo() -> Iterator[Keeper]:
    """Every animal has been let out, and those that write most once more; nothing has been restarted."""
    folder = Path(tempfile.mkdtemp(prefix="zoo-"))
    folder.chmod(0o755)  # the sandbox's users must reach the pack
    with fresh_database() as database_url, fresh_vhost() as broker_url:
        (folder / "data").mkdir(mode=0o711)
        spine = Spine(
            database_url, broker_url, folder / "data", free_port(),
            ATTUNE_LEASE_SECONDS="10", ATTUNE_WORKER_POOLS="user,bwrap", ATTUNE_WORKER_SLOTS="8",
            ATTUNE_PYTHON=python_for_anybody(),
            ATTUNE_RUN_UIDS=f"{OF_THE_SANDBOX[0]}-{OF_THE_SANDBOX[-1]}",
        )  # fmt: skip
        spine.prepare()
        (folder / "data" / "keep-out").write_text("keep-out")
        (folder / "data" / "keep-out").chmod(0o600)
        pack = write_pack(folder / "pack", ANIMALS)
        spine.manage("load_pack", str(pack))
        try:
            spine.start("notifier", "executor", "sensor", "web", "beat")
            for name, mode in WORKERS.items():
                pool = "" if mode == "none" else mode
                spine.start(name, ATTUNE_SANDBOX=mode, ATTUNE_WORKER_POOL=pool)
            assert cages(spine) == {None: "none", "user": "user", "bwrap": "bwrap"}
            keeper = Keeper(spine, pack)
            keeper.pids = {name: spine.processes[name].pid for name in WORKERS}
            keeper.let_out(ANIMALS)
            keeper.memory = keeper.memories()
            keeper.let_out(STREAMS)
            yield keeper
        finally:
            spine.stop()
            shutil.rmtree(folder, ignore_errors=True)


def cages(spine: Spine) -> dict[str | None, str]:
    """Return the sandbox that was proven to work in each pool: some animals kill whomever they can."""
    rows = spine.sql("SELECT pool, capabilities -> 'sandbox' ->> 'mode' FROM worker")
    return dict(rows)  # type: ignore[arg-type]


def python_for_anybody() -> str:
    """Return an interpreter that the sandbox's users can reach: not one below root's home."""
    found = shutil.which("python3", path="/usr/bin:/usr/local/bin:/bin")
    return found or sys.executable
