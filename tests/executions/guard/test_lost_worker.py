"""A worker that is killed or frozen, as itself and as a user without rights."""

import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from executions.guard import tree
from tests.executions.guard.conftest import PATH
from tests.executions.guard.worker import __file__ as worker_file
from tests.executions.lairs import dwell, inhabited, wait_for

NOBODY = 65534
DEAF = "(setsid sleep 3600 &); trap '' TERM; while :; do sleep 3600; done"

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture(params=["own user", "nobody"])
def user(request: pytest.FixtureRequest) -> int | None:
    """Who the worker is: None for whoever runs the tests."""
    if request.param == "own user":
        return None
    if os.geteuid() != 0:
        pytest.skip("only root can become nobody")
    if python_for(NOBODY) is None:
        pytest.skip("nobody has no Python of this version here")
    return NOBODY


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the worker can reach and write to, with a lair in it."""
    path = Path(tempfile.gettempdir(), f"guard-{uuid.uuid4().hex}")  # pytest's own are closed to others
    path.mkdir(mode=0o777)
    path.chmod(0o777)
    lair = path / "lair"
    lair.touch()
    lair.chmod(0o666)
    try:
        yield path
        assert not inhabited(lair)
    finally:
        shutil.rmtree(path)


@pytest.fixture
def start(folder: Path, user: int | None, namespaces: bool) -> Iterator[Start]:
    """Start a worker that runs a script: `start("sleep 5", permit=1)`; it has moved into the lair."""
    workers = []

    def run(script: str, permit: float = 0) -> subprocess.Popen[bytes]:
        words = [folder, f"{dwell(folder / 'lair')}; {script}", "namespaces" if namespaces else "-", permit]
        more = {} if user is None else {"user": user, "group": user, "extra_groups": []}
        workers.append(
            subprocess.Popen(
                [python_for(user) or "", worker_file, *map(str, words)],
                env={**PATH, "PYTHONPATH": packages()},
                **more,
            )
        )
        wait_for((folder / "lair").read_text)
        return workers[-1]

    yield run
    for worker in workers:
        worker.kill()
        worker.wait()


def python_for(user: int | None) -> str | None:
    """Return an interpreter like ours that a user can execute."""
    if user is None:
        return sys.executable
    for path in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        words = [path, "-c", "import platform; print(platform.python_version_tuple()[:2])"]
        try:
            said = subprocess.run(
                words, user=user, capture_output=True, text=True, check=False
            ).stdout.strip()
        except OSError:
            continue
        if said == str(platform.python_version_tuple()[:2]):
            return path
    return None


def packages() -> str:
    return os.pathsep.join(path for path in sys.path if "site-packages" in path)


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_nothing_outlives_a_killed_worker(start: Start, folder: Path):
    worker = start(DEAF)
    assert inhabited(folder / "lair")

    worker.kill()

    wait_for(lambda: not inhabited(folder / "lair"))


def test_nothing_outlives_the_permit_of_a_frozen_worker(start: Start, folder: Path):
    worker = start(DEAF, permit=8)
    os.kill(worker.pid, signal.SIGSTOP)

    wait_for(lambda: not inhabited(folder / "lair"))

    assert state(worker.pid) == "T"
    assert not (folder / "told").exists()
    os.kill(worker.pid, signal.SIGCONT)
    worker.wait(60)
    assert (folder / "told").read_text() == "cancelled lost "


def test_a_run_of_a_frozen_zygote_ends_with_its_worker(start: Start, folder: Path):
    worker = start(DEAF)
    (zygote,) = tree.children(worker.pid)
    os.kill(zygote, signal.SIGSTOP)

    worker.kill()

    wait_for(lambda: not inhabited(folder / "lair"))
    os.kill(zygote, signal.SIGCONT)
    wait_for(lambda: not alive(zygote))


def test_a_worker_that_ends_takes_its_zygote_along(start: Start, folder: Path):
    worker = start("until [ -e go ]; do sleep 0.02; done")
    (zygote,) = tree.children(worker.pid)
    (folder / "go").touch()

    worker.wait(60)

    wait_for(lambda: not alive(zygote))


def alive(pid: int) -> bool:
    try:
        return state(pid) not in "ZX"
    except FileNotFoundError:
        return False
