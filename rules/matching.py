"""event -> enforcement."""

import json
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from django.conf import settings
from django.db import transaction

from attune_project.faults import fault
from attune_project.messaging import counts
from attune_project.messaging.failures import passed_over
from attune_project.messaging.ring import ring
from attune_project.messaging.topology import ENFORCEMENT_CREATED
from attune_project.statements import rows_of
from rules import ruleset
from rules.deciding import Decision, Seen, decide
from rules.models import Outcome
from rules.ruleset import Ruleset

LONGEST_REASON = 2000
_SEEN = """
SELECT e.id, e.trigger_ref, e.payload, e.config, e.rule_id, e.source_ref, e.trace_id, e.created,
       COALESCE(t.enabled, false), t.param_schema
FROM event e LEFT JOIN trigger t ON t.ref = e.trigger_ref
WHERE e.status = 'new' AND """
_CLAIM = f"{_SEEN}{passed_over('match', 'e.id')} ORDER BY e.id LIMIT %s FOR UPDATE OF e SKIP LOCKED"
_CLAIM_ONLY = f"{_SEEN}e.id = ANY(%s::bigint[]) ORDER BY e.id FOR UPDATE OF e SKIP LOCKED"


def match_pending(limit: int) -> int:
    """Turn new events into enforcements; return how many events were decided.

    Claims rows that no other matcher holds (SKIP LOCKED), so any number of matchers may run. Safe to
    call at any time: the message that calls it only says that there is work. All enforcements of an
    event are made in the transaction that marks it as decided. Passes over what matching has failed at.
    """
    return _match(_CLAIM, limit)


def match_only(ids: list[int]) -> int:
    """Do the same for these events, as far as they are new; return how many were decided."""
    return _match(_CLAIM_ONLY, ids)


def _match(claim: str, which: int | list[int]) -> int:
    with transaction.atomic():
        events = [_seen(row) for row in rows_of(claim, [which])]
        if not events:
            return 0
        fault("match.claimed")
        rules = ruleset.current()
        decisions = _decisions(events, rules)
        matches = [one for one in decisions if one.outcome == Outcome.MATCHED]
        ring(ENFORCEMENT_CREATED, _decide_all([event.id for event in events], rules.revision, matches))
        _keep([one for one in decisions if one.outcome == Outcome.ERROR or _kept_anyway(one)])
        fault("match.before_commit")
    fault("match.after_commit")
    return len(events)


def _decisions(events: Iterable[Seen], rules: Ruleset) -> list[Decision]:
    """Ask the rules, and count by trigger: events, rules that were asked, processor time."""
    every = bool(settings.ATTUNE_RECORD_NON_MATCHES)
    decisions: list[Decision] = []
    cost: Counter[tuple[str, str]] = Counter()
    began = time.thread_time_ns()
    for event in events:
        found = decide(event, rules, every=every)
        ended = time.thread_time_ns()
        cost[event.trigger_ref, counts.EVENTS] += 1
        cost[event.trigger_ref, counts.RULES] += len(found)
        cost[event.trigger_ref, counts.NANOSECONDS] += ended - began
        decisions += found
        began = ended
    for (trigger_ref, outcome), amount in cost.items():
        counts.add(counts.MATCHED, trigger_ref, outcome, amount)
    return decisions


def _seen(row: tuple[Any, ...]) -> Seen:
    return Seen(
        id=row[0],
        trigger_ref=row[1],
        payload=None if row[2] is None else json.loads(row[2]),
        config=(json.loads(row[3]) if row[3] else None) or {},
        rule_id=row[4],
        source_ref=row[5],
        trace_id=row[6],
        created=row[7],
        trigger_enabled=row[8],
        param_schema=json.loads(row[9]) if row[9] else None,
    )


def _kept_anyway(decision: Decision) -> bool:
    return bool(settings.ATTUNE_RECORD_NON_MATCHES) and decision.outcome == Outcome.NOT_MATCHED


_DECIDE = """
UPDATE event SET status = 'decided', decided_at = GREATEST(clock_timestamp(), created),
                 updated = clock_timestamp(), ruleset_revision = %s::bigint
WHERE id = ANY(%s::bigint[])
"""
_ENFORCE = """
WITH decided AS (DECIDE)
INSERT INTO enforcement (rule_id, rule_ref, trigger_ref, event_id, status, condition, conditions, config,
                         rule_version, trace_id, created, updated)
SELECT rule_id, rule_ref, trigger_ref, event_id, 'created', condition, conditions, config,
       rule_version, trace_id, moment, moment
FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::bigint[], %s::text[], %s::jsonb[], %s::jsonb[],
            %s::int[], %s::uuid[])
     AS rows(rule_id, rule_ref, trigger_ref, event_id, condition, conditions, config, rule_version, trace_id),
     clock_timestamp() AS moment
ON CONFLICT ON CONSTRAINT enforcement_event_id_rule_id_key DO NOTHING
RETURNING id
""".replace("DECIDE", _DECIDE)


def _decide_all(ids: list[int], revision: int, matches: Sequence[Decision]) -> list[int]:
    """Mark events as decided and make their enforcements, in one statement; return the ids of these."""
    if not matches:
        rows_of(_DECIDE, [revision, ids])
        return []
    rules = {one.rule.id: one.rule for one in matches}
    conditions = {rule_id: json.dumps(rule.raw_conditions) for rule_id, rule in rules.items()}
    columns = list(zip(*(_enforcement(one, conditions[one.rule.id]) for one in matches), strict=True))
    rows = rows_of(_ENFORCE, [revision, ids, *(list(column) for column in columns)])
    return [row[0] for row in rows]


def _enforcement(match: Decision, conditions: str) -> tuple[Any, ...]:
    rule, event = match.rule, match.event
    raw = rule.raw_conditions
    any_of = isinstance(raw, dict) and set(raw) == {"any"}
    return (
        rule.id,
        rule.ref,
        rule.trigger_ref,
        event.id,
        "any" if any_of else "all",
        conditions,
        json.dumps(match.params),
        rule.version,
        event.trace_id,
    )


def _keep(decisions: Sequence[Decision]) -> None:
    """Write what is worth a row, and the last error of each rule."""
    if not decisions:
        return
    rows = [
        (one.event.id, one.rule.id, one.rule.ref, one.rule.version, one.outcome.value, storable(one.reason))
        for one in decisions
    ]
    errors = {one.rule.id: storable(one.reason) for one in decisions if one.outcome == Outcome.ERROR}
    rows_of(
        "INSERT INTO rule_evaluation (event_id, rule_id, rule_ref, rule_version, outcome, reason)"
        " SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::int[], %s::text[], %s::text[])"
        " ON CONFLICT ON CONSTRAINT rule_evaluation_event_id_rule_id_key DO NOTHING",
        [list(column) for column in zip(*rows, strict=True)],
    )
    if errors:
        rows_of(
            "UPDATE rule r SET last_error = e.reason, last_error_at = clock_timestamp()"
            " FROM unnest(%s::bigint[], %s::text[]) AS e(id, reason) WHERE r.id = e.id",
            [list(errors), list(errors.values())],
        )


def storable(reason: str | None) -> str | None:
    """Return a reason as PostgreSQL can hold it: words of an exception may quote anything."""
    if reason is None:
        return None
    return reason[:LONGEST_REASON].replace("\x00", "\ufffd").encode(errors="replace").decode()
