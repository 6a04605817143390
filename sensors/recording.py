"""Record events: the door of the pipeline.

An event that is recorded is `new`, so it owes matching: from the commit on it cannot be lost. Many
events are one statement and one ring.
"""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from structlog.contextvars import get_contextvars

from attune_project.faults import fault
from attune_project.language import schemas
from attune_project.language.documents import DocumentError, check_document
from attune_project.messaging.ring import ring
from attune_project.messaging.topology import EVENT_CREATED
from attune_project.statements import rows_of
from sensors.neighbours import RuleState, rule_states


@dataclass(frozen=True)
class NewEvent:
    """Something that happened. `dedup_key` makes a second report of it a duplicate, per trigger."""

    trigger_ref: str
    payload: Any = None
    config: dict[str, Any] | None = None
    source_id: int | None = None
    source_ref: str | None = None
    rule_id: int | None = None
    dedup_key: str | None = None
    trace_id: uuid.UUID | None = None


@dataclass(frozen=True)
class Recorded:
    """A stored event; `duplicate` when it had been recorded before under its dedup key."""

    id: int
    duplicate: bool


class EventRefused(Exception):
    """An event that cannot be stored. `code` is a contract error code, `details` problems by field."""

    def __init__(self, code: str, message: str, details: dict[str, list[str]] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.details = details or {}


def record_event(event: NewEvent, known: "Known | None" = None) -> Recorded:
    """Store one event and ring for its matching, after commit. Raises EventRefused."""
    outcome = record_events([event], known)[0]
    if isinstance(outcome, EventRefused):
        raise outcome
    return outcome


def record_events(events: Sequence[NewEvent], known: "Known | None" = None) -> list[Recorded | EventRefused]:
    """Store many events in one statement; the answers stand in the order of the events.

    Each stands alone: one that is refused does not hold back the others. `known` is what a caller has
    read just now of the triggers and rules that they name.
    """
    known = known or Known.of(events)
    outcomes: list[Recorded | EventRefused | None] = [known.refusal(event) for event in events]
    good = [index for index, outcome in enumerate(outcomes) if outcome is None]
    fault("event.before_insert")
    stored = _insert([events[index] for index in good], known)
    fault("event.after_insert")
    ring(EVENT_CREATED, [recorded.id for recorded in stored if not recorded.duplicate])
    for index, recorded in zip(good, stored, strict=True):
        outcomes[index] = recorded
    return [outcome for outcome in outcomes if outcome is not None]


@dataclass(frozen=True)
class KnownTrigger:
    """As much of a trigger as an event of it must know; `out_schema` is JSON text, as it is stored."""

    id: int
    ref: str
    enabled: bool
    out_schema: str | None

    @cached_property
    def payloads(self) -> schemas.Fitting | None:
        """What payloads must fit; None when any will do."""
        schema = None if self.out_schema is None else json.loads(self.out_schema)
        return None if schema is None or schemas.is_empty(schema) else schemas.Fitting(schema)


_TRIGGERS = "SELECT id, ref, enabled, out_schema FROM trigger WHERE ref = ANY(%s::text[])"


@dataclass
class Known:
    """The triggers and rules that a batch of events names, read once."""

    triggers: dict[str, KnownTrigger]
    rules: dict[int, RuleState] = field(default_factory=dict)

    @classmethod
    def of(cls, events: Sequence[NewEvent]) -> "Known":
        refs = sorted({event.trigger_ref for event in events})
        return cls(
            {row[1]: KnownTrigger(*row) for row in rows_of(_TRIGGERS, [refs])},
            rule_states(event.rule_id for event in events if event.rule_id is not None),
        )

    def refusal(self, event: NewEvent) -> EventRefused | None:
        """Return why an event cannot be stored, or None."""
        trigger = self.triggers.get(event.trigger_ref)
        if trigger is None:
            return EventRefused("NOT_FOUND", f"Trigger {event.trigger_ref} does not exist")
        if not trigger.enabled:
            return EventRefused("CONFLICT", f"Trigger {event.trigger_ref} is disabled")
        return self._rule_refusal(event) or document_refusal(event) or _schema_refusal(event, trigger)

    def _rule_refusal(self, event: NewEvent) -> EventRefused | None:
        if event.rule_id is None:
            return None
        rule = self.rules.get(event.rule_id)
        if rule is None:
            return EventRefused("CONFLICT", f"Rule {event.rule_id} does not exist")
        if not rule.enabled:
            return EventRefused("CONFLICT", f"Rule {rule.ref} is disabled")
        if rule.trigger_ref != event.trigger_ref:
            return EventRefused("CONFLICT", f"Rule {rule.ref} is of the trigger {rule.trigger_ref}")
        return None


def document_refusal(event: NewEvent) -> EventRefused | None:
    """Return why PostgreSQL could not hold what an event carries, or None."""
    for name, value in (("payload", event.payload), ("config", event.config), ("dedup_key", event.dedup_key)):
        try:
            check_document(value)
        except DocumentError as problem:
            code = "BAD_REQUEST" if problem.kind == "depth" else "VALIDATION_ERROR"
            return EventRefused(code, f"{name}: {problem}", {name: [str(problem)]})
    return None


def _schema_refusal(event: NewEvent, trigger: KnownTrigger) -> EventRefused | None:
    if trigger.payloads is None:
        return None
    problems = trigger.payloads.problems({} if event.payload is None else event.payload)
    if not problems:
        return None
    details = {f"payload.{path}" if path else "payload": texts for path, texts in problems.items()}
    first = next(iter(details))
    return EventRefused(
        "VALIDATION_ERROR", f"{first}: {details[first][0]} (schema of {trigger.ref})", details
    )


# The events are one JSON document: as arrays of texts they cost eight times as much to write.
_INSERT = """
WITH input AS MATERIALIZED (
    SELECT nextval(pg_get_serial_sequence('event', 'id')) AS id, rows.*
    FROM ROWS FROM (jsonb_to_recordset(%s::jsonb) AS (
        trigger_id bigint, trigger_ref text, config jsonb, payload jsonb, source_id bigint, source_ref text,
        rule_id bigint, rule_ref text, dedup_key text, trace_id uuid)) WITH ORDINALITY
        AS rows(trigger_id, trigger_ref, config, payload, source_id, source_ref,
                rule_id, rule_ref, dedup_key, trace_id, place)
), stored AS (
    INSERT INTO event (id, trigger_id, trigger_ref, config, payload, source_id, source_ref,
                       rule_id, rule_ref, dedup_key, trace_id, status, created, updated)
    SELECT id, trigger_id, trigger_ref, config, payload, source_id, source_ref,
           rule_id, rule_ref, dedup_key, trace_id, 'new', clock_timestamp(), clock_timestamp()
    FROM input
    ORDER BY trigger_ref, dedup_key, place -- the same order in every process: no deadlock over shared keys
    ON CONFLICT (trigger_ref, dedup_key) WHERE dedup_key IS NOT NULL DO NOTHING
    RETURNING id
)
SELECT input.id, stored.id IS NULL
FROM input LEFT JOIN stored ON stored.id = input.id ORDER BY input.place
"""


def _insert(events: Sequence[NewEvent], known: Known) -> list[Recorded]:
    if not events:
        return []
    trace_id = str(get_contextvars().get("trace_id") or "")
    rows = json.dumps([_row(event, known, trace_id) for event in events])
    stored = [Recorded(row_id, duplicate) for row_id, duplicate in rows_of(_INSERT, [rows])]
    return _with_first_ids(events, stored) if any(row.duplicate for row in stored) else stored


def _row(event: NewEvent, known: Known, trace_id: str) -> dict[str, Any]:
    rule = known.rules.get(event.rule_id) if event.rule_id is not None else None
    return {
        "trigger_id": known.triggers[event.trigger_ref].id,
        "trigger_ref": event.trigger_ref,
        "config": event.config,
        "payload": event.payload,
        "source_id": event.source_id,
        "source_ref": event.source_ref,
        "rule_id": event.rule_id,
        "rule_ref": rule.ref if rule else None,
        "dedup_key": event.dedup_key,
        "trace_id": str(event.trace_id or trace_id or uuid.uuid4()),
    }


def _with_first_ids(events: Sequence[NewEvent], stored: list[Recorded]) -> list[Recorded]:
    """Give duplicates the id of the event that was first."""
    keys = [
        (event.trigger_ref, event.dedup_key)
        for event, row in zip(events, stored, strict=True)
        if row.duplicate
    ]
    rows = rows_of(
        "SELECT trigger_ref, dedup_key, id FROM event WHERE (trigger_ref, dedup_key) IN"
        " (SELECT * FROM unnest(%s::text[], %s::text[]))",
        [[ref for ref, _ in keys], [key for _, key in keys]],
    )
    first = {(ref, key): row_id for ref, key, row_id in rows}
    return [
        Recorded(first[event.trigger_ref, event.dedup_key], True) if row.duplicate else row
        for event, row in zip(events, stored, strict=True)
    ]
