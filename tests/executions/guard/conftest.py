import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from executions.guard.client import zygote
from executions.runners.confine import Confined
from executions.runners.job import Control
from executions.runners.process import Ended, run_process
from tests.executions.lairs import inhabited

PATH = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
GRACE = 0.3

Bash = Callable[..., Ended]


@pytest.fixture(params=["namespace", "no namespace"])
def namespaces(request: pytest.FixtureRequest) -> bool:
    """Whether runs get a PID namespace of their own: only root can make one."""
    wanted = request.param == "namespace"
    if wanted and os.geteuid() != 0:
        pytest.skip("only root makes PID namespaces")
    return wanted


@pytest.fixture
def lair(tmp_path: Path) -> Iterator[Path]:
    """A lair that must be empty when the test is over."""
    path = tmp_path / "lair"
    path.touch()
    yield path
    assert not inhabited(path)


@pytest.fixture
def bash(namespaces: bool, tmp_path: Path) -> Bash:
    """Run a script to its end: `bash("echo hi", limit=1)`."""
    return partial(run_bash, tmp_path, namespaces)


def run_bash(cwd: Path, namespaces: bool, script: str, limit: float = 60, **more: Any) -> Ended:
    confined = more.pop("confined", None) or Confined(pid_namespace=namespaces)
    settings = {"control": Control(), "kill_grace": GRACE, "stdin": b"", "env": PATH, **more}
    return run_process(["/bin/bash", "-c", script], cwd=cwd, limit=limit, confined=confined, **settings)


def guards(namespaces: bool) -> list[int]:
    """Return the guards of this process's runs, as this process numbers them."""
    pid = zygote(namespaces).pid
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def soon() -> float:
    return time.monotonic() + 1.0
