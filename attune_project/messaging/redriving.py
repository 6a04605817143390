"""What people do about dead letters: look at what would become of them, re-drive them, or discard them.

Both verbs lock the open letters that they were given, so that of two callers at once one closes each. A
message is re-driven by ringing for the ids that it carried: that is all that a message says. A row that was
set aside is let go to its step again, with its failures forgotten.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import structlog
from django.db import transaction
from django.db.models import TextChoices
from django.db.models.functions import Now

from attune_project.messaging import failures, reading, steps, topology
from attune_project.messaging.models import DeadLetter
from attune_project.messaging.models.dead_letter import OPEN
from attune_project.messaging.ring import ring
from attune_project.messaging.topology import MessageType, Route
from attune_project.statements import rows_of

log = structlog.get_logger(__name__)
BATCH = 200


class Outcome(TextChoices):
    """What becomes of a letter that is re-driven."""

    RUNG = "rung"  # its step is rung for the rows that still owe it
    NOTHING_OWED = "nothing_owed"  # what it named has been done since: it is only closed
    IMPOSSIBLE = "impossible"  # nobody understands it: it stays open, until it is discarded
    CLOSED = "closed"  # somebody has re-driven or discarded it already


@dataclass(frozen=True)
class Actor:
    """Who acts: an identity, or whoever has a shell."""

    login: str
    id: int | None = None


@dataclass(frozen=True)
class Plan:
    """What becomes of one letter, in a word and in a sentence."""

    id: int
    outcome: Outcome
    text: str
    route: Route | None = None
    ids: tuple[int, ...] = ()


def preview(letters: Iterable[DeadLetter]) -> list[Plan]:
    """Return what would become of letters that are re-driven now; changes nothing."""
    return [_plan(letter) for letter in letters]


def redrive(ids: Iterable[int], by: Actor, why: str | None) -> list[Plan]:
    """Re-drive letters by their ids; return what became of those that this call looked at."""
    return [plan for part in _parts(ids) for plan in _redrive(part, by, why)]


def discard(ids: Iterable[int], by: Actor, why: str | None) -> list[int]:
    """Close letters without doing anything; return those that this call closed.

    A row that was set aside stays so: it owes its step until somebody re-drives it, or it is history.
    """
    closed = []
    for part in _parts(ids):
        with transaction.atomic():
            found = [letter.pk for letter in _locked(part)]
            _close(found, "discarded_at", by, why)
        closed += found
    return closed


def _redrive(ids: list[int], by: Actor, why: str | None) -> list[Plan]:
    with transaction.atomic():
        letters = _locked(ids)
        plans = [_plan(letter) for letter in letters]
        done = [plan for plan in plans if plan.outcome in (Outcome.RUNG, Outcome.NOTHING_OWED)]
        _close([plan.id for plan in done], "requeued_at", by, why)
        closed = {plan.id for plan in done}
        for letter in letters:
            if letter.pk in closed and letter.step is not None and letter.row_id is not None:
                failures.release(letter.step, [letter.row_id])
        for plan in done:
            if plan.route is not None:
                ring(plan.route.message, plan.ids, plan.route.pool)
    missing = set(ids) - {plan.id for plan in plans}
    known = DeadLetter.objects.filter(pk__in=missing).order_by("pk")
    return [*plans, *preview(known)]


def _locked(ids: Sequence[int]) -> list[DeadLetter]:
    return list(DeadLetter.objects.filter(OPEN, pk__in=ids).order_by("pk").select_for_update())


def _close(ids: list[int], column: str, by: Actor, why: str | None) -> None:
    closed = {"closed_by_id": by.id, "closed_by_login": by.login, "closed_reason": why}
    DeadLetter.objects.filter(pk__in=ids).update(**{column: Now()}, updated=Now(), **closed)
    if ids:
        log.info("dead letters closed", how=column, by=by.login, why=why, ids=ids[:50], count=len(ids))


def _parts(ids: Iterable[int]) -> Iterator[list[int]]:
    left = iter(dict.fromkeys(ids))
    while part := list(islice(left, BATCH)):
        yield part


def _plan(letter: DeadLetter) -> Plan:
    if not letter.is_open:
        who = letter.closed_by_login or "somebody"
        return Plan(letter.pk, Outcome.CLOSED, f"It was {letter.status} by {who}.")
    return _plan_of_row(letter) if letter.step is not None else _plan_of_message(letter)


def _plan_of_row(letter: DeadLetter) -> Plan:
    step = next((one for one in steps.every() if one.name == letter.step), None)
    if step is None or letter.row_id is None:
        return Plan(letter.pk, Outcome.IMPOSSIBLE, f"There is no step {letter.step} any more.")
    if not _still_owing(step.table, step.owed, [letter.row_id]):
        text = f"The {step.table} {letter.row_id} is gone or owes the step {step.name} no longer."
        return Plan(letter.pk, Outcome.NOTHING_OWED, text)
    text = f"The {step.table} {letter.row_id} goes back to the step {step.name} of the {step.service}."
    route = _route_of(step.message, None)
    return Plan(letter.pk, Outcome.RUNG, text, route, (letter.row_id,))


def _plan_of_message(letter: DeadLetter) -> Plan:
    kind = letter.properties.get("content_type") or reading.JSON
    found = reading.read(letter.headers, letter.body, kind)
    if isinstance(found, reading.Bad):
        text = f"{found.detail} What it may have named is found by the polls; it can be discarded."
        return Plan(letter.pk, Outcome.IMPOSSIBLE, text)
    if found.probe:
        return Plan(letter.pk, Outcome.NOTHING_OWED, "It was a probe; others have been sent since.")
    pool = letter.routing_key.removeprefix(f"{found.message.routing_key}.")
    pool_name = pool if found.message.pooled and pool != letter.routing_key else None
    step = steps.of_message(found.message)
    ids = found.ids if step is None else _still_owing(step.table, step.owed, found.ids)
    if not ids:
        text = f"None of the {len(found.ids)} rows that it names owes anything any longer."
        return Plan(letter.pk, Outcome.NOTHING_OWED, text)
    text = f"{found.message.name} is rung for {len(ids)} of the {len(found.ids)} rows that it names."
    return Plan(letter.pk, Outcome.RUNG, text, _route_of(found.message, pool_name), tuple(ids))


def _still_owing(table: str, owed: str, ids: list[int]) -> list[int]:
    statement = f"SELECT id FROM {table} WHERE {owed} AND id = ANY(%s::bigint[]) ORDER BY id"  # noqa: S608
    return [row[0] for row in rows_of(statement, [ids])]


def _route_of(message: MessageType | None, pool: str | None) -> Route | None:
    if message is None:
        return None
    return topology.Route(message, message.key(pool), message.queue_name(pool), pool)
