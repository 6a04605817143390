"""Each service's look at its own steps, without the broker: what it finds is a repair."""

import time

import structlog
from django.conf import settings

from attune_project.messaging import failures, steps
from attune_project.messaging.steps import OwedStep
from attune_project.messaging.ticker import every
from attune_project.service import current_service

log = structlog.get_logger(__name__)
SERVICES = ("sensor", "executor", "worker")
_ended: dict[str, float] = {}  # when this process last ended its poll of a step


def poll(step: OwedStep, older_than: float | None = None) -> int:
    """Do what has owed this step for too long; return how many rows that repaired.

    Not counted when the step is merely behind (a full claim within the same time, in any process)
    or waits by design, nor what still owes afterwards (it waits for another pool, say).
    """
    begun = time.monotonic()
    seconds = settings.ATTUNE_POLL_SECONDS if older_than is None else older_than
    repairs = 0
    if not step.waits_by_design():
        owed = steps.owed_count(step, seconds)
        if owed:
            behind = steps.is_behind(step.name, seconds + steps.BUDGET_SECONDS)
            done, _ = steps.work(step)
            left = _left(step, owed, seconds + time.monotonic() - begun)
            repairs = 0 if behind else max(0, min(owed - left, done))
    steps.note_poll(step.name, repairs)
    if repairs:
        log.warning("rows were found without their message", step=step.name, repairs=repairs)
    return repairs


def _left(step: OwedStep, owed: int, older_than: float) -> int:
    """Return how many of the rows that were found still owe; none of more than were counted."""
    return steps.owed_count(step, older_than) if owed < steps.MOST_COUNTED else 0


@every(lambda: settings.ATTUNE_POLL_SECONDS, services=SERVICES, thread="polls")
def poll_all() -> None:
    """Poll every step of this service."""
    if settings.ATTUNE_POLLS:
        for step in steps.of_service(current_service()):
            _excuse_absence(step)
            poll(step)
            failures.again(step)
            _ended[step.name] = time.monotonic()


def _excuse_absence(step: OwedStep) -> None:
    """Note that the step is behind when this process starts or was frozen: what waited was not lost."""
    longest = settings.ATTUNE_POLL_SECONDS + steps.BUDGET_SECONDS
    ended = _ended.get(step.name)
    if ended is None or time.monotonic() - ended > longest:
        steps.note_full_claim(step.name)
