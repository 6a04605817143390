"""The live log: what running actions write, stored while they run.

`LiveLog.feed` takes it in the thread of the run and never waits for the database: masked text goes to a
spool (memory, then a file), and one thread per worker process stores what all runs have written since,
many runs in one statement. While the database is slow or away the spools grow, up to the limit of the
output, and nothing else does. A run that ends before its first piece was due costs no transaction of
its own: what is left is stored with its end.
"""

import threading
import time
from collections.abc import Callable, Iterable
from typing import cast

import structlog
from django.db import InterfaceError, OperationalError, connections

from attune_project.faults import fault
from executions import log_chunks
from executions.lifecycle import Claimed
from executions.log_chunks import NOTHING_LEFT, Piece, Rest, whole_characters
from executions.runners.job import Control, Outcome, Stream
from executions.runners.masking import Masker
from executions.runners.spool import Spool
from executions.runners.transcript import Transcript

log = structlog.get_logger(__name__)
PIECE = 32 * 1024  # bytes of a row
BATCH = 16  # rows of a statement
SOON = 0.05  # seconds that output waits for more
YOUNG = 0.1  # seconds in which a run is likely to end by itself
LEFT = 2 * PIECE  # bytes of a stream that may be stored with the end of its run
LONGEST_PAUSE = 2.0  # seconds, while the database is away
LINGER = 10.0  # seconds that the thread stays while nothing runs

Also = Callable[[Stream, str], object]


class StreamLog:
    """One stream of a run: its text so far, and how much of it is stored."""

    def __init__(self, masker: Masker) -> None:
        self.stored = 0
        self._transcript = Transcript(masker)
        self._spool = Spool(PIECE)
        self._full = False
        self._ends: list[int] = []

    @property
    def unsent(self) -> int:
        return self._spool.size - self.stored

    def feed(self, chunk: bytes) -> str:
        return self._keep(self._transcript.feed(chunk))

    def end(self, *, killed: bool) -> str:
        return self._keep(self._transcript.end(killed=killed))

    def _keep(self, text: str) -> str:
        if text and not self._full:
            try:
                self._spool.add(text.encode())
            except OSError as problem:  # the disk is full: the rest is not shown, the run goes on
                log.error("output not kept", error=str(problem))
                self._full = True
        return text

    def cut(self, most: int) -> list[tuple[int, bytes]]:
        """Return what is to be stored next, in up to `most` rows, each with its place.

        Where a row ends is decided once: one that was sent may be there though no answer came.
        """
        start = self.stored
        self._ends = [end for end in self._ends if end > start]
        rows: list[tuple[int, bytes]] = []
        while len(rows) < most and start < self._spool.size:
            known = self._ends[len(rows)] if len(rows) < len(self._ends) else start + PIECE
            content = whole_characters(self._spool.read(start, known - start))
            rows.append((start, content))
            start += len(content)
            if len(rows) > len(self._ends):
                self._ends.append(start)
        return rows


class LiveLog:
    """What one run writes. `feed` and `close` are called by the thread of the run.

    `also` is given each piece of masked text, as it comes.
    """

    def __init__(self, claimed: Claimed, secrets: Iterable[str] = (), also: Also | None = None) -> None:
        self.secrets, self.also = secrets, also  # set before the first output
        self._claimed = claimed
        self._masker: Masker | None = None
        self._opened = time.monotonic()
        self.streams: dict[Stream, StreamLog] = {}
        self.lost = False  # the lease is over, or the database refuses it: nothing is stored any more

    def feed(self, stream: Stream, chunk: bytes) -> None:
        """Take what the action wrote: the listener of its Control."""
        self._tell(stream, self._of(stream).feed(chunk))
        self._note()

    def _tell(self, stream: Stream, text: str) -> None:
        if text and self.also is not None:
            self.also(stream, text)

    def _of(self, stream: Stream) -> StreamLog:
        if self._masker is None:
            self._masker = Masker(self.secrets)
        if stream not in self.streams:
            self.streams = {**self.streams, stream: StreamLog(self._masker)}
        return self.streams[stream]

    def _note(self) -> None:
        if self.unsent:
            wait = 0.0 if self.unsent >= PIECE else SOON
            flusher.note(self, max(time.monotonic() + wait, self._opened + YOUNG))

    @property
    def unsent(self) -> int:
        return sum(one.unsent for one in self.streams.values())

    def end(self, outcome: Outcome) -> None:
        """End the streams, and tell the last of their text. A second time changes nothing."""
        for stream, one in self.streams.items():
            self._tell(stream, one.end(killed=outcome.status in ("timeout", "cancelled")))

    def close(self, control: Control, outcome: Outcome) -> Rest:
        """End the streams; return what is to be stored with the end of the run.

        Waits until little is left, unless the lease is over. The text of a stream that the result shows
        is not stored twice, if none of it was stored yet.
        """
        if not self.streams:
            return NOTHING_LEFT
        self.end(outcome)
        flusher.drain(self, lambda: control.reason in ("lost", "shutdown"))
        streams = {} if self.lost else self.streams
        wanted = [name for name, one in streams.items() if one.stored or name not in outcome.result]
        pieces = [piece for name in wanted for piece in self.pieces(name)]
        return Rest(self._claimed.attempt, tuple(pieces), outcome.in_log)

    def land(self, pieces: list[Piece], holds: bool) -> None:
        """Note that pieces are stored, or that the lease is over."""
        self.lost = not holds
        for piece in pieces if holds else ():
            self.streams[cast("Stream", piece.stream)].stored = piece.start + len(piece.content)

    def pieces(self, stream: Stream, most: int = BATCH) -> list[Piece]:
        """Return what is to be stored next of a stream, in up to `most` rows."""
        by = self._claimed
        rows = self.streams[stream].cut(most)
        return [Piece(by.id, by.token, by.attempt, stream, start, content) for start, content in rows]

    def next_pieces(self, most: int) -> list[Piece]:
        """Return what is to be stored next of all streams, in up to `most` rows of each."""
        return [piece for stream in self.streams for piece in self.pieces(stream, most)]

    @property
    def execution_id(self) -> int:
        return self._claimed.id


class Flusher:
    """The thread that stores what is due of every run; it ends when nothing was due for a while."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due: dict[LiveLog, float] = {}
        self._under_way: dict[LiveLog, list[Piece]] = {}
        self._thread: threading.Thread | None = None
        self._closing = False

    def note(self, live: LiveLog, due: float) -> None:
        """There is something to store of a run, by then. Never waits for the database."""
        with self._changed:
            if live.lost:
                return
            self._start()
            known = self._due.get(live)
            if known is None or due < known:
                self._due[live] = due
                self._changed.notify_all()

    def _start(self) -> None:
        if self._thread is not None:
            return
        thread = threading.Thread(target=self._loop, name="log-flusher", daemon=True)
        try:
            thread.start()
        except RuntimeError as problem:  # no more threads now: the next output asks again
            log.warning("log flusher not started", error=str(problem))
        else:
            self._thread = thread

    def drain(self, live: LiveLog, given_up: Callable[[], bool]) -> None:
        """Wait until little of a run is left; from then on what is left is the caller's."""
        with self._changed:
            while live.unsent > LEFT and not live.lost and not given_up():
                self._due[live] = 0.0
                self._start()
                self._changed.notify_all()
                self._changed.wait(0.1)
            self._due.pop(live, None)
            while live in self._under_way:
                self._changed.wait()

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._due.clear()
            self._closing = True
            thread = self._thread
            self._changed.notify_all()
        if thread is not None:
            thread.join()
        self._closing = False

    def _loop(self) -> None:
        pause = 0.0
        try:
            while pieces := self._gather():
                held = _store(pieces)
                pause = 0.0 if held is not None else min(LONGEST_PAUSE, 2 * pause + 0.1)
                self._land(held, pause)
        finally:
            self._leave()
            connections.close_all()

    def _leave(self) -> None:
        with self._changed:
            self._under_way = {}
            if self._thread is threading.current_thread():
                self._thread = None
            self._changed.notify_all()

    def _gather(self) -> list[Piece]:
        """Wait until something is due and return it, a fair share of each run; nothing ends the thread."""
        with self._changed:
            idle_at = time.monotonic() + LINGER
            while not self._closing:
                now = time.monotonic()
                next_at = min(self._due.values(), default=idle_at)
                if next_at > now:
                    self._changed.wait(next_at - now)
                elif self._due:
                    if pieces := self._share([live for live, due in self._due.items() if due <= now]):
                        return pieces
                else:
                    break
            self._thread = None
            return []

    def _share(self, lives: list[LiveLog]) -> list[Piece]:
        share = max(1, BATCH // sum(len(live.streams) for live in lives))
        self._under_way = {live: pieces for live in lives[:BATCH] if (pieces := self._of(live, share))}
        return [piece for pieces in self._under_way.values() for piece in pieces]

    def _of(self, live: LiveLog, share: int) -> list[Piece]:
        """Return what is next of a run; one that has nothing left, or can't be read, isn't due any more."""
        try:
            pieces = live.next_pieces(share)
        except OSError as problem:
            log.error("output lost", execution=live.execution_id, error=str(problem))
            live.lost, pieces = True, []
        if not pieces:
            self._due.pop(live, None)
            self._changed.notify_all()
        return pieces

    def _land(self, held: set[int] | None, pause: float) -> None:
        """Note what was stored, of the runs whose leases hold; None: of nobody, try again after `pause`."""
        with self._changed:
            now = time.monotonic()
            for live, pieces in self._under_way.items():
                if held is not None:
                    live.land(pieces, live.execution_id in held)
                if live in self._due:
                    self._due[live] = now + (pause or (0.0 if live.unsent >= PIECE else SOON))
                if live.lost or not live.unsent:
                    self._due.pop(live, None)
            self._under_way = {}
            self._changed.notify_all()


def _store(pieces: list[Piece]) -> set[int] | None:
    """Store pieces; return the runs that go on. None: the database is away, the same are sent again."""
    try:
        fault("log.before_store")
        held = log_chunks.store(pieces)
        fault("log.after_store")
        return held
    except (OperationalError, InterfaceError) as problem:
        log.warning("output not stored yet", error=f"{type(problem).__name__}: {problem}")
        connections.close_all()
        return None
    except Exception as problem:  # sent again, it would hold up the output of every run for ever
        runs = sorted({piece.execution_id for piece in pieces})
        log.error("output refused", executions=runs, error=type(problem).__name__)
        connections.close_all()
        return set() if len(runs) == 1 else _store_apart(runs, pieces)


def _store_apart(runs: list[int], pieces: list[Piece]) -> set[int] | None:
    held: set[int] = set()
    for run in runs:
        stored = _store([piece for piece in pieces if piece.execution_id == run])
        if stored is None:
            return None
        held |= stored
    return held


flusher = Flusher()
