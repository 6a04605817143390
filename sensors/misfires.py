"""What a timer that is due has to do: which slots fire, which are dropped, and what it waits for next.

A decision is a value: `plan` reads no clock and writes nothing. Its work is bounded however long
nobody looked: the slots that a timer of one second missed in a year are not enumerated.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sensors.schedules import TICK, MisfirePolicy, Schedule, iso

ON_TIME = timedelta(seconds=5)
# Dropped slots that get a row each; the newest of more than that stands for the rest.
MOST_SKIPPED = 100
# No schedule has two slots within a second.
MOST_ON_TIME = int(ON_TIME.total_seconds()) + 2


@dataclass(frozen=True)
class Fire:
    slot: datetime
    misfire: bool


@dataclass(frozen=True)
class Skip:
    slot: datetime
    reason: str


@dataclass(frozen=True)
class Plan:
    fires: tuple[Fire, ...]
    skipped: tuple[Skip, ...]
    next_fire_at: datetime | None


@dataclass(frozen=True)
class TimerState:
    """A timer as its row says: since when it counts, and the oldest slot not yet looked at."""

    activated_at: datetime
    next_fire_at: datetime | None


@dataclass(frozen=True)
class Missed:
    """The slots from `oldest` to `newest` that nobody fired in time."""

    schedule: Schedule
    activation: datetime
    oldest: datetime
    newest: datetime

    def first(self, limit: int) -> list[datetime]:
        rest = self.schedule.slots_between(self.oldest, self.newest, self.activation, limit - 1)
        return [self.oldest, *rest]

    def until(self, slot: datetime) -> "Missed | None":
        """Return those before a slot, or None when there are none."""
        newest = self.schedule.newest(self.oldest - TICK, slot - TICK, self.activation)
        return None if newest is None else Missed(self.schedule, self.activation, self.oldest, newest)

    def after(self, slot: datetime) -> "Missed | None":
        oldest = self.schedule.next_after(slot, self.activation)
        if oldest is None or oldest > self.newest:
            return None
        return Missed(self.schedule, self.activation, oldest, self.newest)


Decision = tuple[list[Fire], list[Skip]]


def plan(schedule: Schedule, timer: TimerState, now: datetime) -> Plan:
    """Decide about every slot of a timer up to now."""
    first = timer.next_fire_at
    if first is None or first > now:
        return Plan((), (), first)
    in_time = _in_time_from(first, timer.activated_at, now)
    missed = _missed(schedule, timer.activated_at, first, in_time)
    fires, skipped = POLICIES[schedule.misfires.policy](missed, now) if missed else ([], [])
    on_time = [
        Fire(slot, misfire=now - slot > ON_TIME)
        for slot in schedule.slots_between(max(first, in_time) - TICK, now, timer.activated_at, MOST_ON_TIME)
    ]
    following = schedule.next_after(now, timer.activated_at)
    return Plan((*fires, *on_time), tuple(skipped), following)


def _in_time_from(first: datetime, activation: datetime, now: datetime) -> datetime:
    """Return the oldest instant whose slot is still in time.

    A slot from before the activation (a one-shot just gone by) is as late as the activation is past.
    """
    edge = now - ON_TIME
    return min(first, edge) if activation >= edge else edge


def _missed(schedule: Schedule, activation: datetime, first: datetime, in_time: datetime) -> Missed | None:
    if first >= in_time:
        return None
    newest = schedule.newest(first, in_time - TICK, activation)
    return Missed(schedule, activation, first, newest or first)


def _skip(missed: Missed, now: datetime) -> Decision:
    return [], _skips(missed, "misfire_policy is skip")


def _fire_once(missed: Missed, now: datetime) -> Decision:
    due = max(missed.newest, missed.activation)
    if now - due > missed.schedule.misfires.grace:
        return [], _skips(missed, "missed for longer than misfire_grace_seconds")
    older = missed.until(missed.newest)
    return [Fire(missed.newest, misfire=True)], _skips(older, "a newer missed slot fired instead")


def _catch_up(missed: Missed, now: datetime) -> Decision:
    slots = missed.first(missed.schedule.misfires.max_catch_up)
    rest = missed.after(slots[-1])
    return [Fire(slot, misfire=True) for slot in slots], _skips(rest, "beyond max_catch_up")


POLICIES: dict[MisfirePolicy, Callable[[Missed, datetime], Decision]] = {
    MisfirePolicy.SKIP: _skip,
    MisfirePolicy.FIRE_ONCE: _fire_once,
    MisfirePolicy.CATCH_UP: _catch_up,
}


def _skips(missed: Missed | None, reason: str) -> list[Skip]:
    """Return the dropped slots, oldest first; the last stands for those that got no row of their own."""
    if missed is None:
        return []
    slots = missed.first(MOST_SKIPPED)
    skips = [Skip(slot, reason) for slot in slots]
    hidden = missed.after(slots[-1])
    if hidden is None:
        return skips
    every = f"{reason}; stands for every slot from {iso(hidden.oldest)} up to this one"
    return [*skips, Skip(missed.newest, every)]
