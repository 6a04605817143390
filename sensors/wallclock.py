"""Wall clocks of time zones: which instant a wall time names, and when a clock changes."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    return frozenset(available_timezones())


def zone(name: str) -> ZoneInfo:
    """Return the IANA zone of that name; raise KeyError for any other text.

    Asked of the list of names first: ZoneInfo itself opens whatever file its argument names.
    """
    if name not in zone_names():
        raise KeyError(name)
    return ZoneInfo(name)


def wall_of(instant: datetime, tz: ZoneInfo) -> datetime:
    """Return what a clock on the wall in `tz` shows at that instant (naive)."""
    return instant.astimezone(tz).replace(tzinfo=None, fold=0)


def instant_of(wall: datetime, tz: ZoneInfo) -> datetime:
    """Return the instant (UTC) that a wall time names.

    A wall time that the clock shows twice is its first showing; one that the clock skips is the
    first instant after the skip.
    """
    instant = wall.replace(tzinfo=tz, fold=0).astimezone(UTC)
    if wall_of(instant, tz) == wall:
        return instant
    before_skip = wall.replace(tzinfo=tz, fold=1).astimezone(UTC)
    return _first_with_offset_of(instant, before_skip, tz)


def next_change(after: datetime, until: datetime, tz: ZoneInfo) -> datetime | None:
    """Return the first change of the clock in `tz` after an instant, up to `until`."""
    for year in range(after.year, until.year + 1):
        for change in _changes(tz, year):
            if change > after:
                return change if change <= until else None
    return None


def last_change(until: datetime, tz: ZoneInfo) -> datetime | None:
    """Return the newest change of the clock in `tz` up to an instant, within its year and the one before."""
    changes = [*_changes(tz, until.year - 1), *_changes(tz, until.year)]
    return max((change for change in changes if change <= until), default=None)


@lru_cache(maxsize=4096)
def _changes(tz: ZoneInfo, year: int) -> tuple[datetime, ...]:
    """Return the changes of the clock within a UTC year, oldest first.

    Found by looking at each day: no zone has changed twice within one.
    """
    start = datetime(year, 1, 1, tzinfo=UTC)
    days = [start + DAY * n for n in range(-1, 367)]
    found = (
        _first_with_offset_of(later, earlier, tz)
        for earlier, later in pairwise(days)
        if _offset(earlier, tz) != _offset(later, tz)
    )
    return tuple(change for change in found if change.year == year)


def _offset(instant: datetime, tz: ZoneInfo) -> timedelta:
    return instant.astimezone(tz).utcoffset() or timedelta()


def _first_with_offset_of(later: datetime, earlier: datetime, tz: ZoneInfo) -> datetime:
    """Return the first second in (earlier, later] whose offset is that of `later`."""
    offset = _offset(later, tz)
    low, high = earlier.replace(microsecond=0), later.replace(microsecond=0)
    while high - low > SECOND:
        middle = low + SECOND * ((high - low) // SECOND // 2)
        if _offset(middle, tz) == offset:
            high = middle
        else:
            low = middle
    return high
