"""Fault points: named places between two steps at which a test kills, freezes or fails this process.

`ATTUNE_FAULTS="point:action[:n[:seconds]][,...]"` arms them, for rehearsals only: `kill` (SIGKILL to itself),
`freeze` (SIGSTOP; somebody else must continue it), `raise`, `sleep` (for `seconds`), each once, at the n-th
passing. Unset, a point costs a function call and nothing else. docs/reliability.md lists the points.
"""

import os
import signal
import threading
import time
from dataclasses import dataclass

from django.core.exceptions import ImproperlyConfigured

ACTIONS = ("kill", "raise", "sleep", "freeze")
SLEEP_SECONDS = 1.0


class FaultRaised(RuntimeError):
    """What a point that is armed with `raise` raises; nothing in the product catches it by name."""


@dataclass(frozen=True)
class Point:
    """A place in the code. `services` are those whose processes pass it."""

    name: str
    services: tuple[str, ...]
    meaning: str


RINGING = ("web", "beat", "sensor", "executor", "worker")
CONSUMING = ("sensor", "executor", "worker", "notifier")
POINTS = (
    Point("event.before_insert", ("web", "beat"), "an event was accepted and isn't stored"),
    Point("event.after_insert", ("web", "beat"), "an event is stored, nobody was rung"),
    Point("webhook.before_answer", ("web",), "a webhook's event is committed, its sender doesn't know"),
    Point("timer.slot_taken", ("beat",), "a timer's slot is taken and has no event yet"),
    Point("timer.before_commit", ("beat",), "slot, event and next time are written, not committed"),
    Point("timer.after_commit", ("beat",), "a timer's events are committed and rung"),
    Point("ring.before_send", RINGING, "a step is committed, the next one wasn't rung"),
    Point("ring.before_publish", RINGING, "a ring was taken by the publisher, the broker hasn't got it"),
    Point("ring.after_publish", RINGING, "the broker has a ring, the publisher hasn't noted that"),
    Point("message.before_work", CONSUMING, "a message has come, nothing was done"),
    Point("message.before_ack", CONSUMING, "a message's work is committed and rung, not acknowledged"),
    Point("match.claimed", ("sensor",), "new events are locked, not decided"),
    Point("match.before_commit", ("sensor",), "events are decided and enforcements made, not committed"),
    Point("match.after_commit", ("sensor",), "events are decided, the matcher goes on to the next"),
    Point("enforce.claimed", ("executor",), "enforcements are locked, no execution was made"),
    Point("enforce.before_commit", ("executor",), "executions are made, not committed"),
    Point("enforce.after_commit", ("executor",), "executions are made, the executor goes on to the next"),
    Point("settle.before_slots", ("executor",), "an end is settled, who waits for its slot wasn't let in"),
    Point("settle.after_slots", ("executor",), "an end is settled, who waited is let in"),
    Point("admit.before_commit", ("executor",), "what was due, or waited, is scheduled, not committed"),
    Point("lease.before_expiry", ("executor",), "a lost worker's executions are taken back, not committed"),
    Point("retention.before_commit", ("executor",), "a batch of history is deleted, not committed"),
    Point("dead_letter.before_ack", ("executor",), "a dead letter is kept, and still in its queue"),
    Point("instant.before_commit", ("worker",), "what ends at once has run, nothing is committed"),
    Point("claim.before_commit", ("worker",), "executions are claimed, not committed"),
    Point("claim.before_start", ("worker",), "executions are claimed, none was started"),
    Point("run.before_start", ("worker",), "a slot has an execution, its action wasn't started"),
    Point("guard.before_start", ("worker",), "the guard of a run wasn't told what to run"),
    Point("guard.after_start", ("worker",), "the guard of a run runs it, the worker hasn't noted that"),
    Point("lease.after_renewal", ("worker",), "leases are renewed in the database, not in the worker"),
    Point("log.before_store", ("worker",), "output was read and isn't stored"),
    Point("log.after_store", ("worker",), "output is stored, the worker hasn't noted that"),
    Point("artifact.before_store", ("worker",), "an action has ended, what it left isn't stored"),
    Point("artifact.after_store", ("worker",), "what an action left is stored, its result isn't"),
    Point("run.after_end", ("worker",), "an action has ended, nobody has its result"),
    Point("result.before_commit", ("worker",), "results are written, not committed"),
    Point("result.after_commit", ("worker",), "results are committed and rung, their slots are still taken"),
)  # fmt: skip
NAMES = frozenset(point.name for point in POINTS)


@dataclass(frozen=True)
class Fault:
    """`action` at the `nth` passing of `point`; `seconds` of a sleep."""

    point: str
    action: str
    nth: int = 1
    seconds: float = SLEEP_SECONDS


def parse(text: str) -> tuple[Fault, ...]:
    """Read the value of ATTUNE_FAULTS. Raises ImproperlyConfigured, naming what is wrong."""
    return tuple(_fault(part.strip()) for part in text.split(",") if part.strip())


def _fault(text: str) -> Fault:
    point, _, rest = text.partition(":")
    action, *numbers = rest.split(":")
    if point not in NAMES:
        raise ImproperlyConfigured(f"ATTUNE_FAULTS={text!r}: no point is called {point!r}")
    if action not in ACTIONS:
        raise ImproperlyConfigured(f"ATTUNE_FAULTS={text!r}: expected one of {', '.join(ACTIONS)}")
    try:
        nth = int(numbers[0]) if numbers else 1
        seconds = float(numbers[1]) if len(numbers) > 1 else SLEEP_SECONDS
    except ValueError:
        raise ImproperlyConfigured(f"ATTUNE_FAULTS={text!r}: expected point:action:n:seconds") from None
    if len(numbers) > 2 or nth < 1 or not 0 <= seconds < threading.TIMEOUT_MAX:
        raise ImproperlyConfigured(f"ATTUNE_FAULTS={text!r}: expected point:action:n:seconds")
    return Fault(point, action, nth, seconds)


_armed: dict[str, list[Fault]] = {}
_passed: dict[str, int] = {}
_lock = threading.Lock()


def arm(faults: tuple[Fault, ...]) -> None:
    """Have these faults, and no others, from now on."""
    with _lock:
        _armed.clear()
        _passed.clear()
        for one in faults:
            _armed.setdefault(one.point, []).append(one)


def fault(name: str) -> None:
    """Pass the point of this name: nothing happens unless it is armed."""
    if _armed:
        _pass(name)


def _pass(name: str) -> None:
    with _lock:
        if name not in _armed:
            return
        _passed[name] = _passed.get(name, 0) + 1
        due = [one for one in _armed[name] if one.nth == _passed[name]]
    for one in due:
        _do(one)


def _do(one: Fault) -> None:
    os.write(2, f"FAULT {one.point}:{one.action}\n".encode())  # it may be this process's last word
    if one.action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif one.action == "freeze":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif one.action == "sleep":
        time.sleep(one.seconds)
    else:
        raise FaultRaised(f"ATTUNE_FAULTS asks for it at {one.point}")
