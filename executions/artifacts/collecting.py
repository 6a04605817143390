"""Take the files that a run left and keep them as artifacts. Nothing here fails the run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, connections

from executions.artifacts import folder, kinds, storing
from executions.artifacts.folder import Found, Limits, RunFolder, Warnings
from executions.artifacts.storing import Leaf, LeaseLost, Refs, Run
from executions.models import Execution

log = structlog.get_logger(__name__)
MIB = 1024 * 1024
BATCH_FILES = 32  # open at once
BATCH_BYTES = 8 * MIB
Mask = Callable[[str], str]


def limits() -> Limits:
    """Return how much one run may leave."""
    return Limits(
        file_bytes=settings.ATTUNE_ARTIFACT_MAX_MB * MIB,
        total_bytes=settings.ATTUNE_ARTIFACT_TOTAL_MB * MIB,
        files=settings.ATTUNE_ARTIFACT_FILES,
    )


def collect(run: Run, left: RunFolder, mask: Mask = str) -> list[str]:
    """Store the files in a run's folder; return warnings about what was left out, and why.

    `mask` takes secrets out of the names of files. Call it while the run's lease is held.
    """
    warnings = Warnings()
    try:
        root = left.open()
        found = [] if root is None else folder.listing(root, limits(), warnings)
        if root is not None and found:
            _Collector(run, root, mask, warnings).store(found)
    except LeaseLost:
        log.info("files of a run came after its lease", execution=run.id)
    except (OperationalError, InterfaceError) as problem:
        connections.close_all()
        log.warning("files of a run not stored", execution=run.id, error=str(problem))
        warnings.add("files could not be stored: the database was away")
    except OSError as problem:
        warnings.add(f"the folder can't be read: {problem.strerror}")
    except Exception as problem:
        log.exception("files of a run not stored", execution=run.id)
        warnings.add(f"files could not be stored: {type(problem).__name__}")
    return [mask(text) for text in warnings.all()]


class _Collector:
    """Stores the files below an open folder, group by group."""

    def __init__(self, run: Run, root: int, mask: Mask, warnings: Warnings) -> None:
        self._run, self._root, self._mask, self._warnings = run, root, mask, warnings
        self._refs = Refs(run)

    def store(self, found: Sequence[Found]) -> None:
        for batch in _batches(self._within(found)):
            self._store(batch)

    def _within(self, found: Sequence[Found]) -> Iterator[Found]:
        """Leave out what, with the files of earlier attempts, would be more than one execution may keep."""
        room = limits().total_bytes - self._refs.stored_bytes
        for one in found:
            if one.size > room:
                self._warnings.add(f"{one.name}: the execution left too much already, in earlier attempts")
                continue
            room -= one.size
            yield one

    def _store(self, batch: Sequence[Found]) -> None:
        try:
            with ExitStack() as files:
                storing.store(self._run, list(self._leaves(batch, files)), self._refs)
        except OSError as problem:  # one that can't be read must not take its batch along
            if len(batch) == 1:
                self._warnings.add(f"{batch[0].name}: {problem.strerror}")
                return
            for one in batch:
                self._store([one])

    def _leaves(self, batch: Sequence[Found], files: ExitStack) -> Iterator[Leaf]:
        for one in batch:
            try:
                file = files.enter_context(os.fdopen(folder.open_file(self._root, one.parts), "rb"))
            except OSError as problem:
                self._warnings.add(f"{one.name}: {problem.strerror}")
                continue
            content_type, kind = kinds.kind_of(one.name, os.pread(file.fileno(), kinds.HEAD, 0))
            yield Leaf(self._mask(one.name), kind, content_type, file, one.size)


def _batches(found: Iterator[Found]) -> Iterator[list[Found]]:
    """Group files for one transaction each: many small ones or a large one."""
    batch: list[Found] = []
    for one in found:
        if batch and (len(batch) == BATCH_FILES or sum(x.size for x in batch) + one.size > BATCH_BYTES):
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch


def sweep(shared: Path) -> int:
    """Remove what killed workers left of runs that have ended; return how many.

    Call it as a worker starts.
    """
    ids, removed = folder.leftovers(shared)
    over = Execution.objects.filter(pk__in=ids, finished_at__isnull=False).order_by()
    paths = [*removed, *(shared / str(pk) for pk in over.values_list("pk", flat=True))]
    for path in paths:
        folder.put_away(path)
    return len(paths)
