"""A worker process in a test: its slots are threads, its leases are real."""

import time
import uuid
from collections.abc import Callable, Iterator

import pytest

from executions.models import Execution
from executions.requesting import Wanted, request_executions
from executions.runners import RunnerSettings
from executions.worker.process import WorkerProcess
from executions.worker.scaling import Bounds


@pytest.fixture
def make_worker(transactional_db, worker_service) -> Iterator[Callable[..., WorkerProcess]]:
    """Start worker processes (in this one): `make_worker(2, 2)` has two slots of each kind."""
    made = []

    def make(slots: int | Bounds = 2, inside: int = 2) -> WorkerProcess:
        bounds = slots if isinstance(slots, Bounds) else Bounds(slots, slots)
        made.append(WorkerProcess(RunnerSettings(kill_grace=0.2), bounds, inside))
        return made[-1]

    yield make
    for process in made:
        process.draining = True  # or a freed slot claims again
        process.slots.stop_all()
        process.slots.wait(60)
        process.slots.close()


@pytest.fixture
def execute(make_action) -> Callable[..., list[int]]:
    """Request executions of an action of its own: `execute(3, entrypoint="sleep", seconds=60)`."""

    def make(count: int = 1, *, parameters: dict | None = None, **action) -> list[int]:
        row = make_action(f"demo.a{uuid.uuid4().hex[:8]}", **action)
        return request_executions([Wanted(row, parameters or {}, uuid.uuid4()) for _ in range(count)])

    return make


@pytest.fixture
def execute_sleep(execute) -> Callable[..., list[int]]:
    return lambda count=1, seconds=60: execute(count, parameters={"seconds": seconds}, entrypoint="sleep")


@pytest.fixture
def execute_script(execute) -> Callable[..., list[int]]:
    return lambda count=1, script="true", **action: execute(
        count, entrypoint=script, runtime_ref="core.shell", **action
    )


@pytest.fixture
def statuses() -> Callable[[], list[str]]:
    return lambda: list(Execution.objects.order_by("pk").values_list("status", flat=True))


@pytest.fixture
def wait_for() -> Callable[..., bool]:
    def wait(condition: Callable[[], object], seconds: float = 60) -> bool:
        ends = time.monotonic() + seconds
        while not condition() and time.monotonic() < ends:
            time.sleep(0.02)
        return bool(condition())

    return wait


@pytest.fixture
def become(statuses, wait_for) -> Callable[..., bool]:
    """Wait until the executions have these statuses: `become("completed", "failed")`."""
    return lambda *wanted: wait_for(lambda: statuses() == list(wanted))
