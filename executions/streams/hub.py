"""What all streams of a web process share: one listener, one reader of changes, one look at logs.

Level-triggered. A hint (NOTIFY, or a poll) names executions; their present state is read once and given
to every stream. The polls go on while the listener hears: a hint may be lost, or its sender away. They
take at most a tenth of the time, so a deep backlog is looked at less often.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any
from weakref import WeakKeyDictionary

import structlog

from attune_project.rest.sse import read
from executions.streams import changes
from executions.streams.changes import BATCH, RECENT, WAITING, Change
from executions.streams.listening import Listener
from executions.streams.log_pages import signatures
from executions.waking import CHANNEL

log = structlog.get_logger(__name__)
POLL = 0.5  # seconds
POLL_LOGS = 2.0  # seconds while the listener hears: writers tell of each piece themselves
BEHIND = 2.0  # seconds that a poll looks back beyond the one before: transactions commit after their times
WIDE = 15.0  # and so many every WIDE seconds / 3
IDLE_SHARE = 10  # a pause is so many times as long as the poll before it
REMEMBERED = 60.0  # seconds that a change is known to have been told
QUIET = 30.0  # seconds between two words on the same trouble
MOST_PENDING = 10_000  # executions that a stream may be behind by


class Subscription:
    """A stream's part of the changes, those that fit: for each execution only its last state is kept."""

    def __init__(self, fits: Callable[[Change], bool]) -> None:
        self.overflowed = False
        self._fits = fits
        self._pending: dict[int, Change] = {}
        self._news = asyncio.Event()

    def tell(self, told: Iterable[Change]) -> None:
        news = [change for change in told if self._fits(change)]
        if not news:
            return
        for change in news:
            before = self._pending.pop(change.id, None)
            new = change.created_now or (before is not None and before.created_now)
            self._pending[change.id] = replace(change, created_now=new)
        self.overflowed = self.overflowed or len(self._pending) > MOST_PENDING
        self._news.set()

    async def wait(self, seconds: float) -> list[Change]:
        """Return what has changed, in order, as soon as something has; nothing after so many seconds."""
        if not self._pending:
            self._news.clear()
            await _within(seconds, self._news)
        taken, self._pending = self._pending, {}
        return sorted(taken.values(), key=lambda change: (change.updated, change.id))


class Waker:
    """Wakes a stream that follows one execution's log."""

    def __init__(self, execution_id: int) -> None:
        self.execution_id = execution_id
        self._news = asyncio.Event()

    def wake(self) -> None:
        self._news.set()

    async def wait(self, seconds: float) -> None:
        """Return once there may be news, at the latest after so many seconds."""
        await _within(seconds, self._news)
        self._news.clear()


async def _within(seconds: float, news: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            await news.wait()
    except TimeoutError:
        pass


class Hub:
    """One per event loop. It works while anybody watches."""

    def __init__(self) -> None:
        self.listener = Listener(self._heard)
        self._subscriptions: set[Subscription] = set()
        self._wakers: dict[int, set[Waker]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._named: dict[int, None] = {}  # executions to look at, in order
        self._told: dict[int, Change] = {}
        self._news = asyncio.Event()
        self._logs_seen: dict[int, tuple[Any, ...]] = {}
        self._polls = _polls()

    def subscribe(self, fits: Callable[[Change], bool]) -> Subscription:
        subscription = Subscription(fits)
        self._subscriptions.add(subscription)
        self._begin()
        return subscription

    def watch(self, execution_id: int) -> Waker:
        waker = Waker(execution_id)
        self._wakers.setdefault(execution_id, set()).add(waker)
        self._begin()
        return waker

    def leave(self, one: Subscription | Waker) -> None:
        """Stop telling a stream; the last one that leaves ends the work."""
        if isinstance(one, Subscription):
            self._subscriptions.discard(one)
        else:
            others = self._wakers.get(one.execution_id, set())
            others.discard(one)
            if not others:
                self._wakers.pop(one.execution_id, None)
        if not self._subscriptions and not self._wakers:
            self._end()

    def _begin(self) -> None:
        if not self._tasks:
            loops = (self.listener.run, self._follow_changes, self._follow_logs)
            self._tasks = [asyncio.create_task(_kept_up(loop)) for loop in loops]

    def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks = []
        self._named, self._told, self._logs_seen = {}, {}, {}
        self._polls = _polls()

    def _heard(self, channel: str, ids: list[int]) -> None:
        for row_id in ids:
            for waker in self._wakers.get(row_id, ()):
                waker.wake()
        if channel == CHANNEL and self._subscriptions:
            self._named |= dict.fromkeys(ids)
            self._news.set()

    async def _follow_changes(self) -> None:
        while True:
            if not self._subscriptions:
                self._polls = _polls()
                await _within(POLL, self._news)
                continue
            for poll in self._polls:
                if poll.due <= time.monotonic():
                    self._name(await poll.look())
            await self._tell_named()
            await _within(min(poll.due for poll in self._polls) - time.monotonic(), self._news)

    def _name(self, touched: list[tuple[int, datetime]]) -> None:
        known = self._told
        for row_id, updated in touched:
            if row_id not in known or known[row_id].updated != updated:
                self._named[row_id] = None

    async def _tell_named(self) -> None:
        """Read what was named in its present state, and tell who subscribed what they don't know yet."""
        self._news.clear()
        while self._named:
            ids = list(self._named)[:BATCH]
            for row_id in ids:
                del self._named[row_id]
            try:
                seen = await read(changes.present, ids)
            except Exception:
                self._named |= dict.fromkeys(ids)
                raise
            told = [one for one in map(self._compared, seen) if one is not None]
            for subscription in self._subscriptions:
                subscription.tell(told)
        self._forget()

    def _compared(self, change: Change) -> Change | None:
        """Return a change beside what was told of it before; None when nothing is new."""
        before = self._told.pop(change.id, None)
        self._told[change.id] = change  # the last told are the last in the map
        if before is None:
            return replace(change, created_now=_is_young(change))
        if (before.updated, before.progressed) == (change.updated, change.progressed):
            return None
        return replace(change, old_status=before.status if before.status != change.status else None)

    def _forget(self) -> None:
        newest = next(reversed(self._told.values()), None)
        while newest is not None and (oldest := next(iter(self._told.values()))) is not newest:
            if (newest.updated - oldest.updated).total_seconds() < REMEMBERED:
                break
            del self._told[oldest.id]

    async def _follow_logs(self) -> None:
        while True:
            began = time.monotonic()
            if self._wakers:
                await self._look_at_logs(list(self._wakers))
            pause = POLL_LOGS if self.listener.listening else POLL
            await asyncio.sleep(max(pause, IDLE_SHARE * (time.monotonic() - began)))

    async def _look_at_logs(self, ids: list[int]) -> None:
        seen = self._logs_seen
        self._logs_seen = await read(signatures, ids)
        for row_id, signature in self._logs_seen.items():
            if seen.get(row_id) != signature:
                for waker in self._wakers.get(row_id, ()):
                    waker.wake()


class Poll:
    """A look at what changed of late, again and again; after a failed one, at all since the last."""

    def __init__(self, statement: str) -> None:
        self.due = 0.0
        self._statement = statement
        self._looked_at = self._wide_at = time.monotonic()

    async def look(self) -> list[tuple[int, datetime]]:
        began = time.monotonic()
        wide = began - self._wide_at >= WIDE / 3
        seconds = began - self._looked_at + (WIDE if wide else BEHIND)
        found = await read(changes.touched, self._statement, seconds)
        self._looked_at = began
        self._wide_at = began if wide else self._wide_at
        self.due = time.monotonic() + max(POLL, IDLE_SHARE * (time.monotonic() - began))
        return found


def _polls() -> tuple[Poll, Poll]:
    return Poll(RECENT), Poll(WAITING)


def _is_young(change: Change) -> bool:
    """Tell a new execution from an old one that nobody has looked at for a while."""
    return (datetime.now(change.created.tzinfo) - change.created).total_seconds() < REMEMBERED


async def _kept_up(loop: Callable[[], Awaitable[None]]) -> None:
    """Run a loop for as long as anybody watches: a database that is away ends no stream."""
    quiet_until = 0.0
    while True:
        try:
            await loop()
        except Exception as problem:
            if time.monotonic() > quiet_until:
                log.warning("streams read nothing for now", error=f"{type(problem).__name__}: {problem}")
                quiet_until = time.monotonic() + QUIET
            await asyncio.sleep(POLL)


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def hub() -> Hub:
    """Return the hub of this event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs[loop] = Hub()
    return _hubs[loop]
