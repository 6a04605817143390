"""What a run tells on standard output while it runs: progress, values, addresses.

`feed` never waits: one thread per worker process stores what all runs told, each run's at most twice a
second; `close` stores the last of it, before the result.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Collection, Sequence

import structlog
from django.db import InterfaceError, OperationalError, connections, transaction

from executions.artifacts import lines
from executions.artifacts.lines import PREFIX, BadLine, ProgressTold, ValueTold
from executions.artifacts.storing import Leaf, LeaseLost, Progress, Refs, Run, store, store_progress
from executions.waking import wake_streams

log = structlog.get_logger(__name__)
INTERVAL = 0.5  # seconds between two writes of one run
MOST_VALUES = 100  # names of one run
MOST_BYTES = 1024 * 1024  # of the values of one run
MOST_NOTES = 10


class Told:
    """What one run has told and is not stored yet. `feed` is called by one thread at a time."""

    def __init__(self, execution_id: int, token: uuid.UUID) -> None:
        self.run = Run(execution_id, token)
        self._line = ""  # the beginning of a line that may become one of ours
        self._foreign = False  # within a line that is none of ours
        self._lock = threading.Lock()
        self._progress = Progress(None, None)
        self._dirty = False
        self._values: dict[tuple[str, str], ValueTold] = {}
        self._sizes: dict[tuple[str, str], int] = {}
        self._notes: list[str] = []

    def feed(self, stream: str, text: str) -> None:
        """Look for lines of the protocol in the next piece of a stream, secrets masked."""
        if stream != "stdout":
            return
        joined = self._line + text
        parts = joined.split("\n") if PREFIX in joined else joined.rsplit("\n", 1)
        *whole, last = parts[1:] if self._foreign and len(parts) > 1 else parts
        for line in whole:
            self._take(line)
        if len(parts) > 1 or not self._foreign:
            self._begin(last)

    def _begin(self, last: str) -> None:
        """Keep the beginning of a line only while it may be one of ours."""
        ours = last.startswith(PREFIX)
        if ours and len(last) > lines.LONGEST:
            self._take(last)  # is refused, once
            ours = False
        self._foreign = not (ours or PREFIX.startswith(last))
        self._line = "" if self._foreign else last

    def close(self) -> list[str]:
        """Store what is left, also a last line without an end; return notes on what was not stored."""
        self._take(self._line)
        teller.finish(self)
        return list(self._notes)

    def note(self, text: str) -> None:
        if len(self._notes) < MOST_NOTES:
            self._notes.append(text)

    def _take(self, line: str) -> None:
        if not line.startswith(PREFIX):
            return
        try:
            told = lines.read(line.rstrip("\r"))
            with self._lock:
                self._note_progress(told) if isinstance(told, ProgressTold) else self._note_value(told, line)
        except BadLine as problem:
            self.note(f"{line[:80]}: {problem}")
        else:
            teller.wake(self)

    def _note_progress(self, told: ProgressTold) -> None:
        percent = self._progress.percent if told.percent is None else told.percent
        text = self._progress.text if told.text is None else told.text
        self._progress, self._dirty = Progress(percent, text), True

    def _note_value(self, told: ValueTold, line: str) -> None:
        key = (told.name, told.type)
        sizes = {**self._sizes, key: len(line)}
        if len(sizes) > MOST_VALUES or sum(sizes.values()) > MOST_BYTES:
            raise BadLine(f"a run may tell {MOST_VALUES} values, of {MOST_BYTES} characters in all")
        self._sizes, self._values[key] = sizes, told

    def pending(self) -> tuple[Progress | None, list[ValueTold]]:
        """Take what is to be stored now."""
        with self._lock:
            progress = self._progress if self._dirty else None
            values = list(self._values.values())
            self._dirty, self._values = False, {}
        return progress, values

    def give_back(self, progress: Progress | None, values: Sequence[ValueTold]) -> None:
        """Keep what could not be stored for another try, unless something newer came meanwhile."""
        with self._lock:
            self._dirty = self._dirty or progress is not None
            self._values = {(one.name, one.type): one for one in values} | self._values


class Teller:
    """Stores what runs tell, in a thread that is there while there is something to store."""

    def __init__(self) -> None:
        self._waiting: set[Told] = set()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._storing = threading.Lock()  # so that `finish` comes after what is on its way

    def wake(self, told: Told) -> None:
        with self._lock:
            self._waiting.add(told)
            if self._thread is None:
                self._start()

    def _start(self) -> None:
        thread = threading.Thread(target=self._loop, name="teller", daemon=True)
        try:
            thread.start()
        except RuntimeError as problem:  # no more threads now: the next word asks again
            log.warning("teller not started", error=str(problem))
        else:
            self._thread = thread

    def finish(self, told: Told) -> None:
        """Store the last of a run, in the caller's thread; what can't be stored is noted."""
        with self._lock:
            self._waiting.discard(told)
        with self._storing:
            try:
                _store([told])
            except (OperationalError, InterfaceError) as problem:
                connections.close_all()
                log.warning("last words of a run not stored", execution=told.run.id, error=str(problem))
                told.note("what was told last could not be stored: the database was away")

    def _loop(self) -> None:
        pause = threading.Event()
        while batch := self._next():
            try:
                with self._storing:
                    _store(batch)
            except Exception as problem:  # the next round tries again
                connections.close_all()
                log.warning("what runs tell is not stored yet", error=str(problem))
                with self._lock:
                    self._waiting |= set(batch)
            pause.wait(INTERVAL)
        connections.close_all()

    def _next(self) -> list[Told]:
        with self._lock:
            batch, self._waiting = list(self._waiting), set()
            if not batch:
                self._thread = None
        return batch


def _store(batch: Collection[Told]) -> None:
    """Store what runs have told; raises when the database is away, with nothing of it lost."""
    taken = {told: told.pending() for told in batch}
    done: set[Told] = set()
    try:
        _store_progress({told.run: progress for told, (progress, _) in taken.items() if progress})
        for told, (_, values) in taken.items():
            _store_values(told, values)
            done.add(told)
    finally:
        for told in taken.keys() - done:
            told.give_back(*taken[told])


def _store_progress(progress: dict[Run, Progress]) -> None:
    if progress:
        with transaction.atomic():
            wake_streams(store_progress(progress))


def _store_values(told: Told, values: list[ValueTold]) -> None:
    if not values:
        return
    try:
        leaves = [Leaf(one.name, one.type, "application/json", data=one.data) for one in values]
        store(told.run, leaves, Refs(told.run))
    except LeaseLost:
        log.info("a run told values after its lease", execution=told.run.id)
    except (OperationalError, InterfaceError):
        raise
    except Exception as problem:  # one run's values must not hold up the others'
        log.exception("values of a run not stored", execution=told.run.id)
        told.note(f"values could not be stored: {type(problem).__name__}")


teller = Teller()
