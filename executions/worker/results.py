"""Store how attempts ended, whatever stands in the way."""

import threading
import time
from collections.abc import Sequence
from dataclasses import replace

import structlog
from django.db import InterfaceError, OperationalError, connections

from executions import lifecycle
from executions.lifecycle import Ended
from executions.log_chunks import NOTHING_LEFT

log = structlog.get_logger(__name__)
LONGEST_PAUSE = 1.0
# Leases end while the database is away, but nobody can take them over before it is back, and then
# workers have a moment to store what ended (executions/clock.py).
PATIENCE = 600.0
# The class of PostgreSQL's errors that say that something is too large: it will be so the next time, too.
TOO_LARGE = "54"


class GaveUp(Exception):
    """The database was away for PATIENCE seconds. No end of the batch is tried any longer."""


def store(ended: Sequence[Ended]) -> None:
    """Store ends, trying again while the database is away; the lease decides whether they still count.

    An end that the database refuses (a value that it can't hold) is stored as a failure that says so. After
    PATIENCE seconds in all it is given up, and the lease says what becomes of the execution.
    """
    if not ended:
        return
    try:
        _store(ended, time.monotonic() + PATIENCE)
    except GaveUp as problem:
        log.error(
            "results lost", executions=[one.execution_id for one in ended], seconds=PATIENCE,
            error=str(problem.__cause__),
        )  # fmt: skip


def _store(ended: Sequence[Ended], gives_up: float) -> None:
    try:
        taken = _persist(ended, gives_up)
    except GaveUp:
        raise
    except Exception as problem:
        log.warning("results refused", executions=[end.execution_id for end in ended], error=str(problem))
        connections.close_all()
        _store_apart(ended, problem, gives_up)
        return
    late = {end.execution_id for end in ended} - set(taken)
    if late:
        log.warning("results came after their leases", executions=sorted(late))


def store_soon(ended: Sequence[Ended]) -> None:
    """Store ends now, or in a thread of its own if the database is away: the caller must not wait."""
    try:
        lifecycle.finish(ended)
    except Exception as problem:  # `store` tells what may be tried again
        log.warning("results not stored yet", executions=len(ended), error=str(problem))
        connections.close_all()
        threading.Thread(target=_store_and_close, args=(ended,), name="results", daemon=True).start()


def _store_and_close(ended: Sequence[Ended]) -> None:
    try:
        store(ended)
    finally:
        connections.close_all()


def _store_apart(ended: Sequence[Ended], problem: Exception, gives_up: float) -> None:
    if len(ended) > 1:
        for end in ended:
            _store([end], gives_up)
        return
    result = {"error": f"The result could not be stored: {type(problem).__name__}", "succeeded": False}
    try:
        # Without the rest of its log, too: that may be what was refused.
        _persist([replace(end, status="failed", result=result, rest=NOTHING_LEFT) for end in ended], gives_up)
    except GaveUp:
        raise
    except Exception as again:  # their leases end by themselves, and no other's end is lost with them
        log.exception("results lost", executions=[end.execution_id for end in ended], error=str(again))
        connections.close_all()


def _persist(ended: Sequence[Ended], gives_up: float) -> list[int]:
    pause = 0.1
    while True:
        try:
            return lifecycle.finish(ended)
        except (OperationalError, InterfaceError) as problem:
            connections.close_all()
            if str(getattr(problem.__cause__, "sqlstate", None)).startswith(TOO_LARGE):
                raise
            if time.monotonic() > gives_up:
                raise GaveUp from problem
            log.warning("results not stored yet", executions=len(ended), error=str(problem))
        time.sleep(pause)
        pause = min(LONGEST_PAUSE, pause * 2)
