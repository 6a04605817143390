"""Cron slots, against an oracle that looks at every minute of the clock."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sensors.cron import Cron, CronError

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)

# Around each change of the clock in 2026, and one plain day for the zones that have none.
CHANGES = [
    ("Europe/Berlin", datetime(2026, 3, 29, 1)),
    ("Europe/Berlin", datetime(2026, 10, 25, 1)),
    ("America/New_York", datetime(2026, 3, 8, 7)),
    ("America/New_York", datetime(2026, 11, 1, 6)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 15)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30)),
    ("Antarctica/Troll", datetime(2026, 3, 29, 1)),
    ("Antarctica/Troll", datetime(2026, 10, 25, 1)),
    ("UTC", datetime(2026, 2, 28, 23)),
    ("Asia/Kolkata", datetime(2026, 12, 31, 18, 30)),
]


@dataclass(frozen=True)
class Field:
    text: str
    values: frozenset[int]


def fields(size: int, first: int = 0) -> st.SearchStrategy[Field]:
    """Return stars, steps, lists and ranges, each with the numbers that it stands for."""
    numbers = range(first, first + size)
    star = st.just(Field("*", frozenset(numbers)))
    step = st.integers(1, size).map(lambda n: Field(f"*/{n}", frozenset(numbers[::n])))
    some = st.frozensets(st.sampled_from(numbers), min_size=1, max_size=4)
    listed = some.map(lambda values: Field(",".join(map(str, sorted(values))), values))
    span = st.tuples(st.sampled_from(numbers), st.sampled_from(numbers)).map(sorted)
    ranged = span.map(lambda ends: Field(f"{ends[0]}-{ends[1]}", frozenset(range(ends[0], ends[1] + 1))))
    return star | step | listed | ranged


@dataclass(frozen=True)
class Spec:
    """A cron expression as the oracle understands it."""

    second: Field | None
    minute: Field
    hour: Field
    weekday: Field

    @property
    def text(self) -> str:
        five = f"{self.minute.text} {self.hour.text} * * {self.weekday.text}"
        return five if self.second is None else f"{self.second.text} {five}"

    @property
    def seconds(self) -> list[int]:
        return [0] if self.second is None else sorted(self.second.values)

    @property
    def elapsed(self) -> bool:
        timed = [self.minute, self.hour, *([self.second] if self.second else [])]
        return any(field.text.startswith("*") for field in timed)

    def shows(self, wall: datetime) -> bool:
        day = wall.isoweekday()
        weekday = day in self.weekday.values or day % 7 in self.weekday.values
        return wall.minute in self.minute.values and wall.hour in self.hour.values and weekday


def specs() -> st.SearchStrategy[Spec]:
    return st.builds(Spec, st.none() | fields(60), fields(60), fields(24), fields(8))


def minutes(start: datetime, end: datetime) -> Iterator[datetime]:
    while start < end:
        yield start
        start += MINUTE


def oracle(spec: Spec, tz: ZoneInfo, start: datetime, end: datetime) -> list[datetime]:
    """Return the slots in (start, end] by looking at every minute that the clock shows."""
    shown = [
        (instant, instant.astimezone(tz).replace(tzinfo=None))
        for instant in minutes(start - 6 * HOUR, end + 6 * HOUR)
    ]
    if spec.elapsed:
        hits = {
            instant + timedelta(seconds=second)
            for instant, wall in shown
            if spec.shows(wall)
            for second in spec.seconds
        }
    else:
        hits = set(fixed_hits(spec, shown))
    return sorted(hit for hit in hits if start < hit <= end)


def fixed_hits(spec: Spec, shown: list[tuple[datetime, datetime]]) -> Iterator[datetime]:
    first_showing = {wall: instant for instant, wall in reversed(shown)}
    skips = [(a[1], b[1], b[0]) for a, b in pairwise(shown) if b[1] - a[1] > MINUTE]
    for wall in minutes(shown[0][1], shown[-1][1]):
        if not spec.shows(wall):
            continue
        if wall in first_showing:
            yield from (first_showing[wall] + timedelta(seconds=second) for second in spec.seconds)
        else:
            yield from (after for low, high, after in skips if low < wall < high)


def slots(cron: Cron, start: datetime, end: datetime) -> list[datetime]:
    found = []
    slot = cron.next_after(start)
    while slot is not None and slot <= end:
        found.append(slot)
        slot = cron.next_after(slot)
    return found


def every(text: str, size: int) -> Field:
    return Field(text, frozenset(range(size)))


@settings(max_examples=150, deadline=None)
@given(specs(), st.sampled_from(CHANGES), st.integers(-180, 120))
@example(Spec(every("0-59", 60), every("0-59", 60), every("0-23", 24), every("*", 8)), CHANGES[1], 0)
@example(Spec(None, every("0-59", 60), every("0-23", 24), every("*", 8)), CHANGES[0], -30)
def test_slots_around_a_change_of_the_clock(spec: Spec, change: tuple[str, datetime], shift: int) -> None:
    name, moment = change
    start = moment.replace(tzinfo=UTC) + shift * MINUTE
    end = start + (HOUR if spec.second else 5 * HOUR)
    cron = Cron.parse(spec.text, ZoneInfo(name))

    found = slots(cron, start, end)

    assert found == oracle(spec, ZoneInfo(name), start, end)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


def following(expression: str, zone: str, start: datetime, count: int) -> list[datetime]:
    cron = Cron.parse(expression, ZoneInfo(zone))
    found = [cron.next_after(start)]
    while len(found) < count:
        assert found[-1] is not None
        found.append(cron.next_after(found[-1]))
    return [slot for slot in found if slot is not None]


def test_a_fixed_time_that_is_skipped_fires_after_the_skip() -> None:
    found = following("0 30 2 * * *", "Europe/Berlin", utc(2026, 3, 28, 12), 2)

    assert found == [utc(2026, 3, 29, 1), utc(2026, 3, 30, 0, 30)]


def test_a_fixed_time_that_is_repeated_fires_once() -> None:
    found = following("30 2 * * *", "Europe/Berlin", utc(2026, 10, 24, 12), 2)

    assert found == [utc(2026, 10, 25, 0, 30), utc(2026, 10, 26, 1, 30)]


def test_a_starred_hour_fires_in_each_showing() -> None:
    found = following("15 30 * * * *", "Europe/Berlin", utc(2026, 10, 25), 3)

    assert found == [utc(2026, 10, 25, n, 30, 15) for n in range(3)]


@pytest.mark.parametrize("sunday", ["0", "7", "SUN", "sun"])
def test_every_name_of_sunday(sunday: str) -> None:
    found = following(f"0 12 * * {sunday}", "UTC", utc(2026, 1, 1), 2)

    assert found == [utc(2026, 1, 4, 12), utc(2026, 1, 11, 12)]


def test_a_leap_day_is_waited_for() -> None:
    found = following("0 0 29 2 *", "America/New_York", utc(2026, 1, 1), 2)

    assert found == [utc(2028, 2, 29, 5), utc(2032, 2, 29, 5)]


def test_a_day_that_never_comes_has_no_slot() -> None:
    first_or_30th_that_is_the_fifth_monday = Cron.parse("0 0 */29 2 MON#5", ZoneInfo("UTC"))

    assert first_or_30th_that_is_the_fifth_monday.next_after(utc(2026, 1, 1)) is None


def test_the_end_of_the_calendar_has_no_slot() -> None:
    assert Cron.parse("* * * * *", ZoneInfo("UTC")).next_after(utc(9950, 1, 1)) is None


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("* * * *", "must have 5 fields (minute first) or 6 (second first), not 4"),
        ("@daily", "must have 5 fields (minute first) or 6 (second first), not 1"),
        ("60 * * * *", "isn't a cron expression: Bad minute"),
        ("*/0 * * * *", "isn't a cron expression: Bad minute"),
        ("0 0 31 2 *", "isn't a cron expression: Bad day-of-month"),
        ("0 " * 200, "must have at most 256 characters"),
    ],
)
def test_what_is_no_expression_is_refused(expression: str, message: str) -> None:
    with pytest.raises(CronError) as refused:
        Cron.parse(expression, ZoneInfo("UTC"))

    assert str(refused.value) == message


@given(st.lists(st.text("0123456789*/,-#LWMONQ?²", max_size=8), min_size=5, max_size=6).map(" ".join))
def test_no_text_breaks_the_parser(expression: str) -> None:
    with suppress(CronError):
        assert Cron.parse(expression, ZoneInfo("UTC")).expression == expression
