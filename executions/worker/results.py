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


def store(ended: Sequence[Ended]) -> None:
    """Store ends, trying again while the database is away; the lease decides whether they still count.

    An end that the database refuses (a value that it can't hold) is stored as a failure that says so.
    """
    if not ended:
        return
    try:
        taken = _persist(ended)
    except Exception as problem:
        log.warning("results refused", executions=[end.execution_id for end in ended], error=str(problem))
        connections.close_all()
        _store_apart(ended, problem)
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


def _store_apart(ended: Sequence[Ended], problem: Exception) -> None:
    if len(ended) > 1:
        for end in ended:
            store([end])
        return
    result = {"error": f"The result could not be stored: {type(problem).__name__}", "succeeded": False}
    try:
        # Without the rest of its log, too: that may be what was refused.
        _persist([replace(end, status="failed", result=result, rest=NOTHING_LEFT) for end in ended])
    except Exception as again:  # their leases end by themselves, and no other's end is lost with them
        log.exception("results lost", executions=[end.execution_id for end in ended], error=str(again))
        connections.close_all()


def _persist(ended: Sequence[Ended]) -> list[int]:
    pause = 0.1
    gives_up = time.monotonic() + PATIENCE
    while True:
        try:
            return lifecycle.finish(ended)
        except (OperationalError, InterfaceError) as problem:
            connections.close_all()
            if time.monotonic() > gives_up:
                raise
            log.warning("results not stored yet", executions=len(ended), error=str(problem))
        time.sleep(pause)
        pause = min(LONGEST_PAUSE, pause * 2)
