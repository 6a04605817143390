"""What a rule says of an event: a value, worked out without touching anything."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from attune_project.language import schemas
from attune_project.language.templates import TemplateError
from rules.models import Outcome
from rules.ruleset import CompiledRule, Ruleset

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Seen:
    """An event as rules see it."""

    id: int
    trigger_ref: str
    payload: Any
    config: Mapping[str, Any]
    rule_id: int | None
    source_ref: str | None
    trace_id: Any
    created: datetime
    trigger_enabled: bool
    param_schema: Any = None


@dataclass(frozen=True)
class Decision:
    """One rule's word on one event. `params` are the rendered action parameters of a match."""

    event: Seen
    rule: CompiledRule
    outcome: Outcome
    reason: str | None = None
    params: Mapping[str, Any] | None = None


def decide(event: Seen, ruleset: Ruleset) -> list[Decision]:
    """Ask every candidate rule; backstops only when no standard rule matched."""
    decisions: list[Decision] = []
    matched = False
    for rule in candidates(event, ruleset):
        if rule.backstop and matched and event.rule_id is None:
            continue
        decision = ask(rule, event)
        matched = matched or (decision.outcome == Outcome.MATCHED and not rule.backstop)
        decisions.append(decision)
    return decisions


def candidates(event: Seen, ruleset: Ruleset) -> list[CompiledRule]:
    """Return the enabled rules that an event concerns: the one it names, or all of its trigger's."""
    if not event.trigger_enabled:
        return []
    if event.rule_id is not None:
        rule = ruleset.by_id.get(event.rule_id)
        return [rule] if rule and rule.trigger_ref == event.trigger_ref else []
    return [rule for rule in ruleset.by_trigger.get(event.trigger_ref, []) if _concerns(rule, event)]


def _concerns(rule: CompiledRule, event: Seen) -> bool:
    """Ask for the source; a rule that can't be asked is a candidate, and `ask` says why it is broken."""
    try:
        return same_source(rule, event)
    except Exception:
        return True


def same_source(rule: CompiledRule, event: Seen) -> bool:
    """Return whether the trigger parameters of a rule are those of the event's source (contract 7.1)."""
    params = event.config.get("params")
    if not isinstance(params, dict) or schemas.is_empty(event.param_schema):
        return True
    mine = schemas.with_defaults(event.param_schema, rule.trigger_params)
    names = schemas.normalise(event.param_schema).get("properties", {})
    return all(mine[name] == params[name] for name in names if name in mine and name in params)


def ask(rule: CompiledRule, event: Seen) -> Decision:
    """Evaluate a rule's conditions and render its parameters.

    Whatever goes wrong is this rule's error: an exception would hold up every event behind this one.
    """
    try:
        return _ask(rule, event)
    except Exception as problem:
        log.exception("rule could not be asked", rule_ref=rule.ref, event_id=event.id)
        return Decision(event, rule, Outcome.ERROR, f"{type(problem).__name__}: {problem}")


def _ask(rule: CompiledRule, event: Seen) -> Decision:
    same_source(rule, event)
    if rule.broken is not None or rule.conditions is None or rule.params is None:
        return Decision(event, rule, Outcome.ERROR, rule.broken)
    context = context_of(rule, event)
    verdict = rule.conditions.evaluate(context)
    if verdict.outcome != "matched":
        return Decision(event, rule, Outcome(verdict.outcome), verdict.reason)
    try:
        params = rule.params.render(context)
    except TemplateError as problem:
        return Decision(event, rule, Outcome.ERROR, f"action_params: {problem}")
    if not isinstance(params, dict):
        return Decision(event, rule, Outcome.ERROR, "action_params: the value is not a map of parameters")
    return Decision(event, rule, Outcome.MATCHED, params=params)


def context_of(rule: CompiledRule, event: Seen) -> dict[str, Any]:
    """Return what conditions and templates of a rule may read: plain JSON, never a model."""
    return {
        "event": {
            "id": event.id,
            "trigger": event.trigger_ref,
            "trigger_ref": event.trigger_ref,
            "created": iso(event.created),
            "source": event.source_ref,
            "source_ref": event.source_ref,
            "config": event.config,
            "payload": event.payload,
        },
        "trigger": event.payload,
        "rule": {"id": rule.id, "ref": rule.ref, "pack_ref": rule.pack_ref},
        "pack": {"ref": rule.pack_ref, "config": rule.pack_config},
        "system": {"timestamp": iso(datetime.now(UTC))},
        "key": {},
        "keystore": {},
    }


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
