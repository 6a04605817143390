"""The whole chain from any link of it: event, evaluations, enforcements, executions, attempts.

Links are followed by their indexes, not by the trace id: one request may have reported a thousand
events that share it. Each kind is one query, and at most the newest MOST of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import QuerySet
from django.db.models.fields.json import KT

from attune_project.identity.rbac import Caller, allowed, visible
from executions.models import Attempt, Execution
from rules.evaluations import Evaluation, evaluations_of
from rules.models import Enforcement, EnforcementStatus, Rule
from sensors.models import Event, EventStatus

MOST = 200
DEEPEST = 50
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Chain:
    """Ids of the rows of one chain, whoever may read them."""

    events: list[int]
    enforcements: list[int]
    executions: list[int]


_ABOVE = """
WITH RECURSIVE above AS (
    SELECT id, COALESCE(parent_id, original_execution_id) AS next, 1 AS depth FROM execution WHERE id = %s
    UNION ALL
    SELECT x.id, COALESCE(x.parent_id, x.original_execution_id), depth + 1
    FROM above JOIN execution x ON x.id = above.next WHERE depth < %s
)
SELECT DISTINCT id FROM above
"""
_BELOW = """
WITH RECURSIVE below AS (
    SELECT id, 1 AS depth FROM execution WHERE id = ANY(%s)
    UNION
    SELECT x.id, depth + 1 FROM below JOIN execution x ON x.parent_id = below.id WHERE depth < %s
)
SELECT DISTINCT id FROM below ORDER BY id DESC LIMIT %s
"""


def chain_of_event(pk: int) -> Chain:
    return _chain([pk], [], [])


def chain_of_enforcement(pk: int) -> Chain:
    event_id = Enforcement.objects.filter(pk=pk).values_list("event_id", flat=True).first()
    return _chain([event_id] if event_id else [], [pk], [])


def chain_of_execution(pk: int) -> Chain:
    """Follow an execution up through its parents (or what it is a re-run of) to where it came from."""
    above = _ids(_ABOVE, [pk, DEEPEST])
    made_by = Enforcement.objects.filter(execution_id__in=above).values_list("pk", "event_id")
    return _chain([event for _, event in made_by if event], [row for row, _ in made_by], above)


def _chain(events: list[int], enforcements: list[int], executions: list[int]) -> Chain:
    """Follow events down to everything that came of them."""
    rows = Enforcement.objects.filter(event_id__in=events).order_by("-id").values_list("pk", "execution_id")
    known = Enforcement.objects.filter(pk__in=enforcements).values_list("pk", "execution_id")
    made = {**dict(rows[:MOST]), **dict(known)}
    roots = {*executions, *(execution for execution in made.values() if execution)}
    return Chain(events, sorted(made), _ids(_BELOW, [list(roots), DEEPEST, MOST]))


def _ids(statement: str, parameters: list[Any]) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return [row[0] for row in cursor.fetchall()]


def shown(chain: Chain, caller: Caller) -> dict[str, Rows]:
    """Return the rows of a chain that the caller may read, oldest first, each with its reason."""
    events = list(_visible(caller, "events", Event.objects.filter(pk__in=chain.events)))
    enforcements = _enforcements(caller, chain.enforcements)
    return {
        "events": [_event(event) for event in events],
        "evaluations": _evaluations(caller, events),
        "enforcements": enforcements,
        "executions": _executions(caller, chain.executions, enforcements),
    }


def _visible(caller: Caller, resource: str, rows: QuerySet[Any]) -> QuerySet[Any]:
    return visible(caller, resource, rows).order_by("id")


def _event(event: Event) -> dict[str, Any]:
    waits = "waiting to be matched against the rules" if event.status == EventStatus.NEW else None
    names = (
        "id", "trigger_id", "trigger_ref", "source_ref", "rule_id", "rule_ref", "status", "created",
        "decided_at", "trace_id",
    )  # fmt: skip
    return {**{name: getattr(event, name) for name in names}, "reason": waits}


def _evaluations(caller: Caller, events: Iterable[Event]) -> Rows:
    """Return what each candidate rule said, of rules that the caller may read."""
    found = [one for event in events for one in evaluations_of(event)][:MOST]
    rules: QuerySet[Rule] = Rule.objects.filter(pk__in=[one.rule for one in found if one.rule])
    there = set(rules.values_list("pk", flat=True))
    seen = set(visible(caller, "rules", rules).values_list("pk", flat=True))
    return [
        {**vars(one), "event_id": one.event, "rule_id": one.rule, "status": one.outcome}
        for one in found
        if (one.rule in seen if one.rule in there else _may_read_gone(caller, one))
    ]


def _may_read_gone(caller: Caller, one: Evaluation) -> bool:
    """Judge a rule that was deleted by its ref."""
    gone = Rule(pk=one.rule, ref=one.rule_ref, pack_ref=one.rule_ref.partition(".")[0])
    return allowed(caller, "rules", "read", gone)


WHY_ENFORCEMENT = {
    EnforcementStatus.CREATED: "waiting for the executor to make its execution",
    EnforcementStatus.DISABLED: "its rule, trigger or action was disabled or gone by then",
}


def _enforcements(caller: Caller, ids: list[int]) -> Rows:
    rows = _visible(caller, "enforcements", Enforcement.objects.filter(pk__in=ids)).values(
        "id", "rule_id", "rule_ref", "rule_version", "event_id", "execution_id", "status", "created",
        "resolved_at", "trace_id",
    )  # fmt: skip
    return [{**row, "reason": WHY_ENFORCEMENT.get(row["status"])} for row in rows]


def _executions(caller: Caller, ids: list[int], enforcements: Rows) -> Rows:
    rows = (
        _visible(caller, "executions", Execution.objects.filter(pk__in=ids))
        .annotate(error=KT("result__error"))
        .values(
            "id", "action_id", "action_ref", "parent_id", "original_execution_id", "worker_id", "status",
            "status_reason", "error", "retry_count", "created", "due_at", "scheduled_at", "started_at",
            "finished_at", "settled_at", "trace_id",
        )
    )  # fmt: skip
    found = list(rows)
    attempts = _attempts([row["id"] for row in found])
    made_by = {row["execution_id"]: row["id"] for row in enforcements}
    return [
        {
            **row,
            "enforcement_id": made_by.get(row["id"]),
            "reason": row["status_reason"] or row["error"],
            "attempts": attempts.get(row["id"], []),
        }
        for row in found
    ]


def _attempts(executions: list[int]) -> dict[int, Rows]:
    """Return the attempts by execution."""
    rows = Attempt.objects.filter(execution_id__in=executions).annotate(reason=KT("result__error"))
    names = ("id", "number", "worker_id", "status", "reason", "started_at", "finished_at")
    found: dict[int, Rows] = {}
    for row in rows.order_by("id").values("execution_id", *names)[: MOST * 5]:
        found.setdefault(row["execution_id"], []).append({**row})
    return found
