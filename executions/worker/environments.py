"""The environment that a claimed execution's action runs in, while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
from django.db import Error, connections

from executions.environments.serving import Asker, environment_for
from executions.lifecycle import Claimed, explain
from executions.runners import Control, RunnerSettings, runner_for, runtime_of

log = structlog.get_logger(__name__)


@contextmanager
def environment_of(claimed: Claimed, control: Control, host: RunnerSettings) -> Iterator[Path | None]:
    """Give the environment's folder, None for an action that needs none; meanwhile say what is waited for.

    Raises BuildFailed or BuildStopped.
    """
    action = claimed.action or {}
    runner = runner_for(action.get("runtime_ref") or runtime_of(action.get("entrypoint", "")))
    recipe = runner.recipe if runner is not None else None
    if recipe is None or claimed.pack_dir is None or not claimed.pack_dir.is_dir():
        yield None
        return
    said: list[str] = []

    def tell(reason: str) -> None:
        said.append(reason)
        _explain(claimed, reason)

    asker = Asker(host, control, tell)
    with environment_for(recipe, action["pack_ref"], claimed.pack_dir, asker) as folder:
        if said:
            _explain(claimed, None)
        yield folder


def _explain(claimed: Claimed, reason: str | None) -> None:
    try:
        explain(claimed.id, claimed.token, reason)
    except Error as problem:  # a database that is away doesn't end a build
        log.warning("wait not explained", execution=claimed.id, error=str(problem))
        connections.close_all()
