"""Is each step done, by its message and not by its poll?"""

import time

from django.conf import settings
from django.db import connection

from attune_project.console import step_state
from attune_project.console.checks import Check, check
from attune_project.console.step_state import SILENT, StepState, late
from attune_project.messaging import steps
from attune_project.messaging.steps import OwedStep

REPAIR_SECONDS = 60.0
OWED_SECONDS = 30.0
TIMERS = "timers"
ALERTS = "alerts"


@check
def polls() -> list[Check]:
    """One check per step: its service polls, and the polls find nothing to repair."""
    states, uptime = step_state.read(), step_state.uptime()
    found = []
    for step in steps.every():
        state = states.get(step.name, SILENT)
        reason = _poll_trouble(step, state, uptime)
        found.append(Check(f"poll:{step.name}", reason is None, reason, _cause(step, state)))
    return found


def _cause(step: OwedStep, state: StepState) -> str | None:
    """Return what is behind a poll's trouble: the way of its message, or a service that is silent."""
    if not _repairs(state):
        return f"service:{step.service}"
    return f"message:{step.message.routing_key}" if step.message else None


def _repairs(state: StepState) -> bool:
    return state.repaired is not None and state.repaired < REPAIR_SECONDS


def _poll_trouble(step: OwedStep, state: StepState, uptime: float) -> str | None:
    if _repairs(state):
        rung = f"messages of type {step.message.name}" if step.message else "their messages"
        return (
            f"Rows were found without their message {state.repaired:.0f} s ago: the poll of the"
            f" {step.service} service did the step {step.name} for them ({state.repairs} in all)."
            f" So {rung} get lost or are not read: the checks probe:* and unroutable say where."
        )
    silence = uptime if state.polled is None else state.polled
    if settings.ATTUNE_POLLS and silence > late():
        return (
            f"No {step.service} service has polled the step {step.name} for {silence:.0f} s: is one running,"
            " and does its log say `tick failed`?"
        )
    return None


@check
def owed() -> list[Check]:
    """One check per step: nothing has owed it for long, unless the step is merely behind."""
    states = step_state.read()
    found = []
    for step in steps.every():
        behind = states.get(step.name, SILENT).behind
        count = 0 if behind else steps.owed_count(step, OWED_SECONDS)
        found.append(Check(f"owed:{step.name}", count == 0, _owed_reason(step, count)))
    return found


def _owed_reason(step: OwedStep, count: int) -> str | None:
    if not count:
        return None
    many = f"{count} or more" if count >= 1000 else str(count)
    return (
        f"{many} rows of {step.table} have owed the step {step.name} for more than {OWED_SECONDS:g} s, by"
        f" message and by poll: is the {step.service} service running, and does its log say `step failed`?"
    )


@check
def timers() -> list[Check]:
    """Say when no beat leads, and when one that leads doesn't fire what is due."""
    silence = step_state.read().get(TIMERS, SILENT).polled
    silence = step_state.uptime() if silence is None else silence
    silence = min(silence, time.monotonic() - STARTED)  # the time that all of it was off accuses nobody
    if silence > late():
        reason = f"No beat has looked at the timers for {silence:.0f} s: is a beat service running?"
        return [Check(TIMERS, False, reason)]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), min(id) FROM timer WHERE enabled AND next_fire_at IS NOT NULL"
            " AND rule_id IS NOT NULL AND next_fire_at < now() - make_interval(secs => %s)",
            [late()],
        )
        count, first = cursor.fetchone()
    if count:
        return [
            Check(TIMERS, False, f"{count} timers are overdue (timer {first} among them): see beat's log.")
        ]
    return [Check(TIMERS, True)]


STARTED = time.monotonic()


@check
def alerting() -> list[Check]:
    """Say when nobody watches: then nothing else would be told."""
    silence = step_state.read().get(ALERTS, SILENT).polled
    silence = step_state.uptime() if silence is None else silence
    silence = min(silence, time.monotonic() - STARTED)  # the time that all of it was off accuses nobody
    if silence <= 2 * late():
        return [Check(ALERTS, True)]
    reason = f"No service has looked at these checks for {silence:.0f} s, so none raises an alert: are the"
    return [Check(ALERTS, False, f"{reason} sensor, executor, notifier and beat services running?")]
