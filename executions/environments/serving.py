"""Give an execution the environment of its pack: at once if it is there, else build it or wait for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from django.conf import settings
from django.db import connections

from executions.environments import records
from executions.environments.installing import BuildFailed, BuildStopped, Installation, Progress
from executions.environments.needs import need_of
from executions.environments.places import Busy, Place, remove_unused
from executions.runners.job import Control, RunnerSettings
from executions.runners.recipe import Recipe

log = structlog.get_logger(__name__)
LOOK = 0.2  # seconds between looks at a build of somebody else's
TELL = 2.0  # seconds between words about a build


@dataclass(frozen=True)
class Asker:
    """Who needs an environment: where, until when, and how it is told what it waits for."""

    host: RunnerSettings
    control: Control
    tell: Callable[[str], None]


@contextmanager
def environment_for(recipe: Recipe, pack_ref: str, pack_dir: Path, asker: Asker) -> Iterator[Path | None]:
    """Give the folder of the environment that a pack's actions need, None if they need none.

    Raises BuildFailed, or BuildStopped once the asker's control is stopped. A build has a limit of its
    own, ATTUNE_ENV_BUILD_SECONDS.
    """
    place = place_for(recipe, pack_ref, pack_dir, asker.host)
    if place is None:
        yield None
        return
    with ExitStack() as use:
        yield _obtained(place, asker, use)


def place_for(recipe: Recipe, pack_ref: str, pack_dir: Path, host: RunnerSettings) -> Place | None:
    """Return where the environment of a pack lies or would lie on this host, None if it needs none."""
    need = need_of(recipe, pack_ref, pack_dir, host)
    if need is None:
        return None
    return Place(host.runtime_envs_dir or settings.ATTUNE_RUNTIME_ENVS_DIR, need)


def build(place: Place, asker: Asker) -> Path:
    """Build an environment, whatever there is already; the caller holds the builder's lock."""
    work = Installation(place, asker.host, asker.control, settings.ATTUNE_ENV_BUILD_SECONDS)
    progress = work.progress
    records.begin(place.need)

    def say() -> None:
        records.note(place.need, progress)
        asker.tell(f"waiting for {place.need} ({progress.step}, {progress.seconds} s)")

    asker.tell(f"waiting for {place.need} ({progress.step}, 0 s)")
    try:
        with _every(TELL, say):
            folder = work.run()
    except BuildStopped:
        records.drop(place.need)
        raise
    except BuildFailed as problem:
        records.end(place.need, progress, str(problem))
        raise
    records.end(place.need, progress, None)
    log.info("environment built", of=place.need.owner, name=folder.name, seconds=progress.seconds)
    return folder


def _obtained(place: Place, asker: Asker, use: ExitStack) -> Path:
    while True:
        with ExitStack() as attempt:
            folder = attempt.enter_context(place.used())
            if folder is not None:
                use.push(attempt.pop_all())
                return folder
        _make_ready(place, asker)


def _make_ready(place: Place, asker: Asker) -> None:
    """Build, or wait until somebody else has."""
    waited = Progress()
    told = -TELL
    while place.ready() is None:
        try:
            with place.building():
                if place.ready() is None:
                    _refuse_failed(place)
                    build(place, asker)
            remove_unused(place.root)
            return
        except Busy:
            if time.monotonic() - told > TELL:
                told = time.monotonic()
                step = records.step_of(place.need) or waited.step
                asker.tell(f"waiting for {place.need} ({step}, {waited.seconds} s)")
        if asker.control.cancelled.wait(LOOK):
            raise BuildStopped


def _refuse_failed(place: Place) -> None:
    """Raise BuildFailed at once for a while after a failure, unless it was taken back."""
    error = place.failure(settings.ATTUNE_ENV_RETRY_SECONDS)
    if error is not None and not records.is_taken_back(place.need):
        raise BuildFailed(error)


@contextmanager
def _every(seconds: float, call: Callable[[], None]) -> Iterator[None]:
    """Call again and again, in a thread, while the block runs."""
    ended = threading.Event()

    def work() -> None:
        try:
            while not ended.wait(seconds):
                call()
        except Exception:
            log.exception("no more words about a build")
        finally:
            connections.close_all()

    thread = threading.Thread(target=work, name="environment", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
