"""The timers of rules: armed and disarmed with their rule, fired by whichever beat leads.

A timer's row is its whole state: `next_fire_at` is the oldest slot that nobody has looked at yet.
Firing locks the row, so a rule change and a beat never act on the same timer at once; the slot's row
is unique, so no slot fires twice, however many beats run and whatever their clocks say.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from django.db import connection, transaction
from django.db.models.functions import Now

from attune_project.faults import fault
from sensors.alerts import Alert, record_alerts
from sensors.misfires import Fire, Plan, TimerState, plan
from sensors.models import SlotOutcome, Timer
from sensors.neighbours import rule_states
from sensors.recording import EventRefused, NewEvent, Recorded, record_events
from sensors.schedules import Schedule, is_timer, iso, parse

log = structlog.get_logger(__name__)

SOURCE_REF = "core.timer_sensor"
# What one transaction records at most; timers past it stay due and come next.
MOST_FIRES = 2000

ARM = """
INSERT INTO timer (rule_id, trigger_ref, params, activated_at, next_fire_at, fire_count, enabled)
VALUES (%s, %s, %s, %s, %s, 0, %s)
ON CONFLICT ON CONSTRAINT timer_rule_id_key DO UPDATE
SET trigger_ref = excluded.trigger_ref, params = excluded.params, activated_at = excluded.activated_at,
    next_fire_at = excluded.next_fire_at, enabled = excluded.enabled, updated = now(),
    fire_count = CASE WHEN timer.enabled THEN timer.fire_count ELSE 0 END
WHERE NOT (timer.enabled AND excluded.enabled
           AND timer.trigger_ref = excluded.trigger_ref AND timer.params = excluded.params)
"""

# Literals, so that the partial index timer_due_idx serves it. An event without a rule would concern
# every rule of its trigger: a timer that has lost its rule is never claimed.
CLAIM = """
SELECT id, rule_id, trigger_ref, params::text, activated_at, next_fire_at, fire_count,
       coalesce(%(now)s::timestamptz, now())
FROM timer
WHERE enabled AND next_fire_at IS NOT NULL AND next_fire_at <= coalesce(%(now)s::timestamptz, now())
  AND rule_id IS NOT NULL
ORDER BY next_fire_at LIMIT %(limit)s
FOR UPDATE SKIP LOCKED
"""

RECORD_SLOTS = """
INSERT INTO timer_slot (timer_id, scheduled_for, outcome, reason)
SELECT * FROM unnest(%s::bigint[], %s::timestamptz[], %s::text[], %s::text[])
ON CONFLICT ON CONSTRAINT timer_slot_timer_id_scheduled_for_key DO NOTHING
RETURNING timer_id, scheduled_for
"""

NOTE_EVENTS = """
UPDATE timer_slot s SET event_id = n.event_id, outcome = n.outcome, reason = n.reason, updated = now()
FROM unnest(%s::bigint[], %s::timestamptz[], %s::bigint[], %s::text[], %s::text[])
     AS n (timer_id, slot, event_id, outcome, reason)
WHERE s.timer_id = n.timer_id AND s.scheduled_for = n.slot
"""

ADVANCE = """
UPDATE timer t SET next_fire_at = a.next_fire_at, fire_count = t.fire_count + a.fired, updated = now(),
    last_fire_at = CASE WHEN a.fired > 0 THEN %s ELSE t.last_fire_at END
FROM unnest(%s::bigint[], %s::timestamptz[], %s::int[]) AS a (id, next_fire_at, fired)
WHERE t.id = a.id
"""

UNTIL_NEXT = """
SELECT extract(epoch FROM next_fire_at - now()) FROM timer
WHERE enabled AND next_fire_at IS NOT NULL AND rule_id IS NOT NULL ORDER BY next_fire_at LIMIT 1
"""


@dataclass(frozen=True)
class Due:
    """A claimed timer, read with the moment of its claim by the database's clock."""

    id: int
    rule_id: int
    trigger_ref: str
    params: str
    activated_at: datetime
    next_fire_at: datetime
    fire_count: int
    now: datetime

    @property
    def schedule(self) -> Schedule:
        return parse(self.trigger_ref, json.loads(self.params))

    @property
    def state(self) -> TimerState:
        return TimerState(self.activated_at, self.next_fire_at)

    def dedup_key(self, slot: datetime) -> str:
        return f"timer:{self.id}:{iso(slot)}"


@dataclass(frozen=True)
class Decided:
    """A claimed timer and what it has to do."""

    timer: Due
    schedule: Schedule
    plan: Plan


def arm(
    rule_id: int, trigger_ref: str, params: dict[str, Any], *, now: datetime | None = None
) -> datetime | None:
    """Start the timer of an enabled rule, or re-plan it; return the slot that it waits for.

    Call within the transaction that changes the rule. A timer that already runs with these params is
    left alone: changing a rule's label must not move its slots. Raise ScheduleError for bad params. A
    rule whose trigger is no timer has none, one whose trigger is disabled waits for that to end.
    """
    if not is_timer(trigger_ref):
        disarm(rule_id)
        return None
    schedule = parse(trigger_ref, params)
    activated_at = now or _now()
    enabled = _trigger_is_enabled(trigger_ref)
    first = schedule.first(activated_at) if enabled else None
    with connection.cursor() as cursor:
        cursor.execute(ARM, [rule_id, trigger_ref, json.dumps(params), activated_at, first, enabled])
    return first


def disarm(rule_id: int) -> None:
    """Stop the timer of a rule. Its row stays, and with it the memory of the slots that have fired."""
    _stop(Timer.objects.filter(rule_id=rule_id, enabled=True))


def arm_trigger(trigger_ref: str) -> None:
    """Start anew the timers of every enabled rule of a trigger that was enabled."""
    stopped = Timer.objects.filter(trigger_ref=trigger_ref, enabled=False)
    wanted = stopped.filter(rule__enabled=True, rule__trigger_ref=trigger_ref)
    for timer in wanted.select_for_update(of=("self",)):
        assert timer.rule_id is not None
        arm(timer.rule_id, timer.trigger_ref, timer.params)


def disarm_trigger(trigger_ref: str) -> None:
    """Stop the timers of every rule of a trigger that was disabled."""
    _stop(Timer.objects.filter(trigger_ref=trigger_ref, enabled=True))


def seconds_until_next() -> float | None:
    """Return how long no timer is due, by the database's clock; negative when one is late."""
    with connection.cursor() as cursor:
        cursor.execute(UNTIL_NEXT)
        row = cursor.fetchone()
    return float(row[0]) if row else None


def fire_due(now: datetime | None = None, limit: int = 100) -> int:
    """Fire every timer that is due; return how many timers were looked at.

    Safe to call at any time and from any number of processes: a timer that another one holds is
    passed over. A full count means that there may be more.
    """
    with transaction.atomic():
        timers = _claim(now, limit)
        decided = _decide(timers)
        if decided:
            fired = _record(decided)
            _advance(decided, fired)
            fault("timer.before_commit")
    if timers:
        fault("timer.after_commit")
    return len(timers)


def _now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment


def _trigger_is_enabled(trigger_ref: str) -> bool:
    """Read the trigger under a shared lock: one that is being disabled stops this timer too, or waits."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT enabled FROM trigger WHERE ref = %s FOR SHARE", [trigger_ref])
        row = cursor.fetchone()
    return bool(row and row[0])


def _stop(timers: Any) -> None:
    timers.update(enabled=False, next_fire_at=None, updated=Now())


def _claim(now: datetime | None, limit: int) -> list[Due]:
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, {"now": now, "limit": limit})
        return [Due(*row) for row in cursor.fetchall()]


def _decide(timers: Sequence[Due]) -> list[Decided]:
    """Plan each timer, up to what one transaction may record."""
    decided: list[Decided] = []
    fires = 0
    for timer in timers:
        if fires >= MOST_FIRES:
            break
        try:
            schedule = timer.schedule
            decided.append(Decided(timer, schedule, plan(schedule, timer.state, timer.now)))
        except Exception as problem:  # pure code on stored params: whatever it is, the timer is its cause
            _give_up(timer, str(problem) or type(problem).__name__)
            continue
        fires += len(decided[-1].plan.fires)
    return decided


def _give_up(timer: Due, reason: str) -> None:
    """Stop a timer whose params once were good and are not any more: it must not hold up the others."""
    _stop(Timer.objects.filter(pk=timer.id))
    rule = rule_states([timer.rule_id]).get(timer.rule_id)
    name = rule.ref if rule else None
    record_alerts(
        [
            Alert(
                severity="critical",
                category="timer",
                failure_type="bad_schedule",
                component_type="rule",
                component_id=str(timer.rule_id),
                component_ref=name,
                summary=f"The timer of rule {name or timer.rule_id} was stopped: {reason}",
                dedup_key=f"timer_stopped:{timer.dedup_key(timer.next_fire_at)}",
            )
        ]
    )


def _record(decided: list[Decided]) -> Counter[int]:
    """Record slots, and the events of those that no row knew yet; return how many fired, by timer."""
    new = _record_slots(decided)
    fault("timer.slot_taken")
    fires = [
        (each, fire) for each in decided for fire in each.plan.fires if (each.timer.id, fire.slot) in new
    ]
    counts: Counter[int] = Counter()
    events = []
    for each, fire in fires:
        counts[each.timer.id] += 1
        events.append(_event(each, fire, each.timer.fire_count + counts[each.timer.id]))
    if events:
        _note_events(fires, record_events(events))
    return counts


def _record_slots(decided: list[Decided]) -> set[tuple[int, datetime]]:
    rows: list[tuple[int, datetime, str, str | None]] = []
    for each in decided:
        rows += [(each.timer.id, fire.slot, _outcome(fire), None) for fire in each.plan.fires]
        rows += [(each.timer.id, skip.slot, SlotOutcome.SKIPPED, skip.reason) for skip in each.plan.skipped]
    with connection.cursor() as cursor:
        cursor.execute(RECORD_SLOTS, _columns(rows, 4))
        return set(cursor.fetchall())


def _outcome(fire: Fire) -> SlotOutcome:
    return SlotOutcome.LATE if fire.misfire else SlotOutcome.FIRED


def _event(each: Decided, fire: Fire, count: int) -> NewEvent:
    payload = {
        "type": each.schedule.type,
        "scheduled_at": iso(fire.slot),
        "fired_at": iso(each.timer.now),
        "execution_count": count,
        "misfire": fire.misfire,
        "timezone": each.schedule.timezone,
        **each.schedule.payload(fire.slot, each.timer.activated_at),
    }
    return NewEvent(
        trigger_ref=each.timer.trigger_ref,
        payload=payload,
        source_ref=SOURCE_REF,
        rule_id=each.timer.rule_id,
        dedup_key=each.timer.dedup_key(fire.slot),
    )


def _note_events(fires: list[tuple[Decided, Fire]], outcomes: Sequence[Recorded | EventRefused]) -> None:
    """Name each slot's event, or why there is none."""
    rows: list[tuple[int, datetime, int | None, str, str | None]] = []
    for (each, fire), outcome in zip(fires, outcomes, strict=True):
        slot = (each.timer.id, fire.slot)
        if isinstance(outcome, Recorded):
            rows.append((*slot, outcome.id, _outcome(fire), None))
        else:
            log.warning("timer event refused", timer_id=each.timer.id, reason=str(outcome))
            rows.append((*slot, None, SlotOutcome.SKIPPED, f"refused: {outcome}"))
    with connection.cursor() as cursor:
        cursor.execute(NOTE_EVENTS, _columns(rows, 5))


def _advance(decided: list[Decided], fired: Counter[int]) -> None:
    rows = [(each.timer.id, each.plan.next_fire_at, fired[each.timer.id]) for each in decided]
    with connection.cursor() as cursor:
        cursor.execute(ADVANCE, [decided[0].timer.now, *_columns(rows, 3)])


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """Turn rows into one array per column, as unnest takes them."""
    return [[row[column] for row in rows] for column in range(width)]
