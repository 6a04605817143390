"""Schedules: the slots that a rule's trigger_params ask of a timer (contract.md, 7.2).

A schedule is a value; it knows no rule, row or clock. `activation` is the moment from which its
timer counts: no slot lies before it, except that of a one-shot just missed.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from sensors.cron import Cron, CronError
from sensors.wallclock import SECOND, instant_of, zone

TICK = timedelta(microseconds=1)
UNITS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400}
LONGEST_INTERVAL = 36500 * 86400
LONGEST_GRACE = 365 * 86400
MOST_CATCH_UP = 1000

Params = dict[str, Any]


class ScheduleError(ValueError):
    """A parameter that no schedule can be made of; `field` names it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field} {message}")
        self.field = field
        self.message = message


class MisfirePolicy(StrEnum):
    SKIP = "skip"  # a missed slot is dropped
    FIRE_ONCE = "fire_once"  # one event for the newest missed slot
    CATCH_UP = "catch_up"  # one event for each missed slot, oldest first


@dataclass(frozen=True)
class Misfires:
    """What becomes of the slots that nobody was there to fire."""

    policy: MisfirePolicy = MisfirePolicy.FIRE_ONCE
    grace: timedelta = timedelta(seconds=300)
    max_catch_up: int = 10


@dataclass(frozen=True)
class Schedule:
    """The slots of one timer; each is an instant in UTC."""

    misfires: Misfires
    timezone: str

    type: ClassVar[str]

    def next_after(self, instant: datetime, activation: datetime) -> datetime | None:
        """Return the first slot later than an instant, or None when there is none any more."""
        raise NotImplementedError

    def first(self, activation: datetime) -> datetime | None:
        """Return the slot that a timer activated at that moment waits for."""
        return self.next_after(activation - TICK, activation)

    def newest(self, after: datetime, until: datetime, activation: datetime) -> datetime | None:
        """Return the newest slot in (after, until], or None.

        Found by halving, since a timer of one second that was away for a year has missed 31 million.
        """
        newest = self._within(after, until, activation)
        # No slot lies between `until` and the end; slots are at least a second apart.
        while newest is not None and until - newest >= SECOND:
            middle = newest + (until - newest) / 2
            later = self._within(middle, until, activation)
            newest, until = (later, until) if later else (newest, middle)
        return newest

    def slots_between(
        self, after: datetime, until: datetime, activation: datetime, limit: int
    ) -> list[datetime]:
        """Return the oldest slots in (after, until], at most `limit`."""
        slots: list[datetime] = []
        while len(slots) < limit and (slot := self._within(after, until, activation)):
            slots.append(slot)
            after = slot
        return slots

    def payload(self, slot: datetime, activation: datetime) -> dict[str, Any]:
        """Return what the event of a slot says of its schedule, beside what all timers say."""
        raise NotImplementedError

    def _within(self, after: datetime, until: datetime, activation: datetime) -> datetime | None:
        slot = self.next_after(after, activation)
        return slot if slot is not None and slot <= until else None


@dataclass(frozen=True)
class IntervalSchedule(Schedule):
    """Slots at activation + n * interval, from n = 1."""

    interval: timedelta

    type = "interval"

    def next_after(self, instant: datetime, activation: datetime) -> datetime | None:
        elapsed = max(instant - activation, timedelta())
        try:
            return activation + self.interval * (elapsed // self.interval + 1)
        except OverflowError:
            return None

    def payload(self, slot: datetime, activation: datetime) -> dict[str, Any]:
        return {"interval_seconds": int(self.interval.total_seconds())}


@dataclass(frozen=True)
class CronSchedule(Schedule):
    cron: Cron

    type = "cron"

    def next_after(self, instant: datetime, activation: datetime) -> datetime | None:
        return self.cron.next_after(max(instant, activation - TICK))

    def payload(self, slot: datetime, activation: datetime) -> dict[str, Any]:
        following = self.next_after(slot, activation)
        return {
            "expression": self.cron.expression,
            "next_fire_at": following and iso(following),
        }


@dataclass(frozen=True)
class OneShotSchedule(Schedule):
    fire_at: datetime

    type = "one_shot"

    def next_after(self, instant: datetime, activation: datetime) -> datetime | None:
        too_old = self.fire_at < activation - self.misfires.grace
        return None if too_old or self.fire_at <= instant else self.fire_at

    def first(self, activation: datetime) -> datetime | None:
        """Return the slot even when it has just gone by: it is to fire at once."""
        return self.next_after(activation - self.misfires.grace - TICK, activation)

    def payload(self, slot: datetime, activation: datetime) -> dict[str, Any]:
        return {"fire_at": iso(self.fire_at)}


def parse(trigger_ref: str, params: object) -> Schedule:
    """Return the schedule that a timer trigger's trigger_params describe.

    Raise ScheduleError, naming the parameter, for params that describe none, and KeyError for a
    trigger that is no timer.
    """
    make = KINDS[trigger_ref]
    if not isinstance(params, dict):
        raise ScheduleError("trigger_params", "must be an object")
    return make(params, _misfires(params))


def is_timer(trigger_ref: str) -> bool:
    return trigger_ref in KINDS


def iso(instant: datetime) -> str:
    """Write an instant as every time is written: UTC with microseconds and Z."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _interval(params: Params, misfires: Misfires) -> Schedule:
    unit = _given(params, "unit", "seconds")
    if not isinstance(unit, str) or unit not in UNITS:
        raise ScheduleError("unit", f"must be one of {', '.join(UNITS)}")
    count = _whole(params, "interval", minimum=1, maximum=LONGEST_INTERVAL // UNITS[unit])
    return IntervalSchedule(misfires, "UTC", timedelta(seconds=count * UNITS[unit]))


def _cron(params: Params, misfires: Misfires) -> Schedule:
    expression = _text(params, "expression")
    tz = _zone(params)
    try:
        return CronSchedule(misfires, tz.key, Cron.parse(expression, tz))
    except CronError as error:
        raise ScheduleError("expression", str(error)) from None


def _one_shot(params: Params, misfires: Misfires) -> Schedule:
    text = _text(params, "fire_at")
    tz = _zone(params)
    try:
        written = datetime.fromisoformat(text)
        fire_at = written.astimezone(UTC) if written.tzinfo else instant_of(written, tz)
    except (ValueError, OverflowError):
        raise ScheduleError("fire_at", "must be a date and time in ISO 8601") from None
    return OneShotSchedule(misfires, tz.key, fire_at)


KINDS = {
    "core.intervaltimer": _interval,
    "core.crontimer": _cron,
    "core.datetimetimer": _one_shot,
}


def _misfires(params: Params) -> Misfires:
    policy = _given(params, "misfire_policy", MisfirePolicy.FIRE_ONCE)
    if policy not in list(MisfirePolicy):
        raise ScheduleError("misfire_policy", f"must be one of {', '.join(MisfirePolicy)}")
    grace = _whole(params, "misfire_grace_seconds", default=300, minimum=0, maximum=LONGEST_GRACE)
    most = _whole(params, "max_catch_up", default=10, minimum=1, maximum=MOST_CATCH_UP)
    return Misfires(MisfirePolicy(policy), timedelta(seconds=grace), most)


def _whole(params: Params, name: str, *, minimum: int, maximum: int, default: int | None = None) -> int:
    """Return a whole number; JSON knows 10 and 10.0 as the same."""
    value = _given(params, name, default)
    if value is None:
        raise ScheduleError(name, "is required")
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not minimum <= value <= maximum or value != int(value):
        raise ScheduleError(name, f"must be a whole number from {minimum} to {maximum}")
    return int(value)


def _given(params: Params, name: str, default: object) -> Any:
    """Return a parameter, or its default when it is absent or null."""
    value = params.get(name)
    return default if value is None else value


def _text(params: Params, name: str) -> str:
    value = params.get(name)
    if value is None:
        raise ScheduleError(name, "is required")
    if not isinstance(value, str) or not value.strip():
        raise ScheduleError(name, "must be a text that isn't empty")
    return value.strip()


def _zone(params: Params) -> ZoneInfo:
    name = _given(params, "timezone", "UTC")
    try:
        return zone(name)
    except (KeyError, TypeError):
        raise ScheduleError("timezone", f"isn't the name of an IANA time zone: {name!r:.80}") from None
