"""What this worker's settings impose on every run."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from django.conf import settings

from executions.runners.job import STANDARD_PATH, base_python
from executions.runners.limits import Limits
from executions.runners.sandbox import Mode, Sandbox

MARGIN = 5.0  # s before its lease ends that a run is killed: for its end to be seen by everybody


def sandbox() -> Sandbox:
    return Sandbox(
        mode=cast(Mode, settings.ATTUNE_SANDBOX),
        uids=settings.ATTUNE_RUN_UIDS,
        limits=Limits(
            memory_mb=settings.ATTUNE_RUN_MEMORY_MB,
            cpu_seconds=settings.ATTUNE_RUN_CPU_SECONDS,
            files=settings.ATTUNE_RUN_FILES,
            processes=settings.ATTUNE_RUN_PROCESSES,
            file_size_mb=settings.ATTUNE_RUN_FILE_SIZE_MB,
        ),
        pid_namespace=settings.ATTUNE_RUN_PID_NAMESPACE,
        margin=margin(),
        hidden=tuple(sorted(set(_hidden()))),
        shown=tuple(sorted(set(_interpreters()))),
    )


def margin() -> float:
    """Return how long before the end of its lease a run is killed that nobody has renewed."""
    return min(MARGIN, float(settings.ATTUNE_LEASE_SECONDS) / 4)


def _hidden() -> Iterator[Path]:
    """Return where this host keeps what isn't an action's: data, and the homes of people and root."""
    yield Path(settings.ATTUNE_DATA_DIR)
    yield from (Path(home) for home in ("/root", "/home") if Path(home).is_dir())
    if Path.home() != Path("/"):
        yield Path.home()


def _interpreters() -> Iterator[Path]:
    """Return the installations of what runs actions: a home may hold them."""
    for program in (settings.ATTUNE_PYTHON or base_python(), settings.ATTUNE_NODE):
        found = shutil.which(program, path=STANDARD_PATH)
        if found:
            yield Path(found).resolve().parents[1]
