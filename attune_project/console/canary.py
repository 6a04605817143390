"""The canary: ordinary rows, each minute through the real exchanges, queues and a real worker.

The core pack's rule `core.canary` makes them. Nothing else is special about them: what happens to a
canary happens to everybody's events. A hop that took longer than a poll waits came by the poll, so the
message of that hop got lost, even though the work was done.
"""

from dataclasses import dataclass
from typing import Any

from django.db import connection

from attune_project.console import step_state
from attune_project.console.checks import Check, check
from attune_project.console.step_state import SILENT, StepState, late

RULE = "core.canary"
NAME = "canary"
OVERDUE_SECONDS = 30.0
HOP_SECONDS = 2.0
UNITS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86_400}

_RULE = """
SELECT r.id, r.enabled AND COALESCE(t.enabled, false), t.id, t.params ->> 'unit',
       (t.params ->> 'interval')::int, extract(epoch FROM now() - t.activated_at)::float8,
       (SELECT extract(epoch FROM now() - s.created)::float8 FROM timer_slot s
        WHERE s.timer_id = t.id AND s.event_id IS NULL AND s.created > s.scheduled_for + interval '5 s'
        ORDER BY s.scheduled_for DESC LIMIT 1)
FROM rule r LEFT JOIN timer t ON t.rule_id = r.id WHERE r.ref = %s
"""
_RUNS = """
SELECT e.id, extract(epoch FROM now() - e.created)::float8, e.status, n.status,
       extract(epoch FROM now() - n.created)::float8, x.id, x.status, x.status_reason, x.result ->> 'error',
       extract(epoch FROM now() - x.created)::float8, extract(epoch FROM now() - x.scheduled_at)::float8,
       extract(epoch FROM now() - x.started_at)::float8, extract(epoch FROM now() - x.finished_at)::float8,
       extract(epoch FROM now() - x.settled_at)::float8
FROM (SELECT event_id FROM timer_slot WHERE timer_id = %s AND event_id IS NOT NULL
      ORDER BY scheduled_for DESC LIMIT 2) s
JOIN event e ON e.id = s.event_id
LEFT JOIN enforcement n ON n.event_id = e.id AND n.rule_id = %s
LEFT JOIN execution x ON x.id = n.execution_id
ORDER BY e.id DESC
"""


@dataclass(frozen=True)
class Timing:
    """The canary's rule and its timer. Times are in seconds ago."""

    rule_id: int
    enabled: bool
    timer_id: int | None
    unit: str | None
    interval: int | None
    activated: float | None
    resumed: float | None  # when slots were last dropped because no beat had run

    @property
    def seconds(self) -> float:
        return float(UNITS.get(self.unit or "", 60) * (self.interval or 1))


@dataclass(frozen=True)
class Run:
    """One canary from its event to its settled execution. Times are in seconds ago; None: not yet."""

    event_id: int
    recorded: float
    event_status: str
    enforcement_status: str | None
    enforced: float | None
    execution_id: int | None
    status: str | None
    status_reason: str | None
    error: str | None
    requested: float | None
    scheduled: float | None
    started: float | None
    finished: float | None
    settled: float | None

    @property
    def hops(self) -> "list[Hop]":
        return [
            Hop("match", "event.created", "sensor", self.recorded, self.enforced),
            Hop("enforce", "enforcement.created", "executor", self.enforced, self.requested),
            Hop("run", "execution.requested", "worker", self.scheduled, self.started),
            Hop("finish", "", "worker", self.started, self.finished),
            Hop("settle", "execution.completed", "executor", self.finished, self.settled),
        ]


@dataclass(frozen=True)
class Hop:
    """One step of a run: from what it waited for, to what it made."""

    step: str
    routing_key: str
    service: str
    began: float | None
    ended: float | None

    @property
    def pending(self) -> bool:
        return self.began is not None and self.ended is None

    @property
    def seconds(self) -> float | None:
        """Return how long it took; None when it has not ended."""
        return None if self.began is None or self.ended is None else self.began - self.ended

    def excused(self, states: dict[str, StepState]) -> bool:
        """Tell whether the step was behind (or its service just started) while this hop waited."""
        full_claim = states.get(self.step, SILENT).full_claim
        return full_claim is not None and self.began is not None and full_claim <= self.began


def timing() -> Timing | None:
    row = _one(_RULE, [RULE])
    return None if row is None else Timing(*row)


def runs(timer_id: int, rule_id: int) -> list[Run]:
    """Return the last two runs, newest first."""
    with connection.cursor() as cursor:
        cursor.execute(_RUNS, [timer_id, rule_id])
        return [Run(*row) for row in cursor.fetchall()]


def _one(statement: str, parameters: list[Any]) -> tuple[Any, ...] | None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        row: tuple[Any, ...] | None = cursor.fetchone()
    return row


@check
def canary() -> list[Check]:
    """Judge the newest run that has ended, or should have."""
    rule = timing()
    if rule is None or not rule.enabled or rule.timer_id is None:
        return [Check(NAME, True, "disabled")]
    reason = trouble(rule, runs(rule.timer_id, rule.rule_id), step_state.read())
    return [Check(NAME, reason is None, reason)]


def trouble(rule: Timing, found: list[Run], states: dict[str, StepState]) -> str | None:
    """Return what is wrong with the canary, naming the hop, or None."""
    since = min(
        (age for age in (rule.activated, rule.resumed, *(run.recorded for run in found)) if age is not None),
        default=0.0,
    )
    if since > rule.seconds + OVERDUE_SECONDS:
        return (
            f"The canary's timer has made no event for {since:.0f} s, though it is due every"
            f" {rule.seconds:.0f} s: is a beat service running and leading? See the check `timers`."
        )
    for run in found:
        reason = run_trouble(run, states)
        if reason is not None or run.settled is not None:
            return reason
    return None


def run_trouble(run: Run, states: dict[str, StepState]) -> str | None:
    """Return what is wrong with one run, or None; one that is young may still be under way."""
    name = f"The canary of event {run.event_id}"
    if run.enforcement_status == "disabled":
        return f"{name} was given up: its trigger or the action core.noop is disabled or gone."
    if run.event_status == "decided" and run.enforced is None:
        return f"{name} matched no rule: see the evaluations of that event and the rule {RULE}."
    if run.finished is not None and run.status != "completed":
        return f"{name} ended {run.status} in execution {run.execution_id}: {run.error or 'no error given'}."
    return next((reason for hop in run.hops if (reason := hop_trouble(name, run, hop, states))), None)


def hop_trouble(name: str, run: Run, hop: Hop, states: dict[str, StepState]) -> str | None:
    if hop.excused(states):
        return None
    if hop.pending and run.recorded > late():
        waits = f" ({run.status_reason})" if run.status_reason and hop.step == "run" else ""
        return (
            f"{name} has waited {hop.began:.0f} s for the step {hop.step}{waits}: neither message nor poll"
            f" brought it there. Is a {hop.service} service running?"
        )
    if hop.seconds is not None and hop.seconds > HOP_SECONDS:
        return (
            f"{name} took {hop.seconds:.1f} s for the step {hop.step}"
            + (f": the message {hop.routing_key} did not ring there" if hop.routing_key else "")
            + f". Look at the {hop.service} service and its queue (checks probe:{hop.routing_key}:*)."
        )
    return None
