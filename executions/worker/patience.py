"""Asking the database for what a run needs, while it may be away."""

from collections.abc import Callable
from typing import TypeVar

import structlog
from django.db import InterfaceError, OperationalError, connections

from executions.runners import Control

log = structlog.get_logger(__name__)
PAUSE = 0.2
T = TypeVar("T")


def patiently(ask: Callable[[], T], control: Control) -> T:
    """Return what the database answers, however long it is away: an action must not fail for that.

    It lasts until the job is stopped, at the latest with its lease; then the problem is raised.
    """
    while True:
        try:
            return ask()
        except (OperationalError, InterfaceError) as problem:
            connections.close_all()
            log.warning("database not there for a run", error=str(problem))
            if control.cancelled.wait(PAUSE):
                raise
