"""What people see of environments: a row for each pack, runtime and host. Nothing is decided by it but
that a failure was taken back (`pack_env rebuild`)."""

from __future__ import annotations

import socket
from functools import cache
from typing import Any

import structlog
from django.db import Error, connections
from django.db.models import QuerySet
from django.db.models.functions import Now

from executions.environments.installing import Progress
from executions.environments.needs import Need
from executions.models import RuntimeEnvironment
from executions.models.environment import EnvironmentStatus

log = structlog.get_logger(__name__)


@cache
def host() -> str:
    return socket.gethostname()


def begin(need: Need) -> None:
    _write(
        need,
        status=EnvironmentStatus.BUILDING,
        step="starting",
        log="",
        error=None,
        started_at=Now(),
        finished_at=None,
    )


def note(need: Need, progress: Progress) -> None:
    _write(need, status=EnvironmentStatus.BUILDING, step=progress.step, log=progress.log)


def end(need: Need, progress: Progress, error: str | None) -> None:
    status = EnvironmentStatus.READY if error is None else EnvironmentStatus.FAILED
    step = None if error is None else progress.step
    _write(need, status=status, step=step, log=progress.log, error=error, finished_at=Now())


def drop(need: Need) -> None:
    """Forget a build that was stopped: nothing came of it, and nobody is to wait for it."""
    try:
        _rows(need).filter(status=EnvironmentStatus.BUILDING).delete()
    except Error as problem:
        _unwritten(need, problem)


def step_of(need: Need) -> str | None:
    """Return what the builder is doing, as far as the database knows."""
    try:
        return _rows(need).values_list("step", flat=True).first()
    except Error as problem:
        _unwritten(need, problem)
        return None


def is_taken_back(need: Need) -> bool:
    """Tell whether somebody asked, on any host, to try a failed build again: then its row is gone."""
    try:
        return not _rows(need).filter(status=EnvironmentStatus.FAILED, digest=need.digest).exists()
    except Error as problem:
        _unwritten(need, problem)
        return False


def _rows(need: Need) -> QuerySet[RuntimeEnvironment]:
    return RuntimeEnvironment.objects.filter(
        pack_ref=need.owner, runtime_ref=f"core.{need.recipe.name}", host=host()
    )


def _write(need: Need, **values: Any) -> None:
    """Store what is known. A database that is away doesn't end a build."""
    try:
        RuntimeEnvironment.objects.update_or_create(
            pack_ref=need.owner,
            runtime_ref=f"core.{need.recipe.name}",
            host=host(),
            defaults={"digest": need.digest, **values},
        )
    except Error as problem:
        _unwritten(need, problem)


def _unwritten(need: Need, problem: Exception) -> None:
    log.warning("environment not noted", environment=need.name, owner=need.owner, error=str(problem))
    connections.close_all()
