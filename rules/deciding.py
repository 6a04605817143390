"""What a rule says of an event: a value, worked out without touching anything."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import structlog

from attune_project.language import schemas
from attune_project.language.templates import TemplateError
from rules.candidates import Candidates
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

    @cached_property
    def context(self) -> dict[str, Any]:
        """What any rule may read of the event."""
        return {
            "id": self.id,
            "trigger": self.trigger_ref,
            "trigger_ref": self.trigger_ref,
            "created": iso(self.created),
            "source": self.source_ref,
            "source_ref": self.source_ref,
            "config": self.config,
            "payload": self.payload,
        }

    @cached_property
    def system(self) -> dict[str, Any]:
        """What rules may read beside the event: one moment for all of them."""
        return {"timestamp": iso(datetime.now(UTC))}

    @cached_property
    def source(self) -> "Source | None":
        """What trigger parameters of rules are compared with; None when they take no part."""
        params = self.config.get("params")
        if not isinstance(params, dict) or schemas.is_empty(self.param_schema):
            return None
        schema = schemas.shared(self.param_schema)
        schemas.filled(schema, {})  # what can't be read fails here, for all rules alike
        names = schema.get("properties", {})
        return Source(schema, {name: params[name] for name in names if name in params})


@dataclass(frozen=True)
class Source:
    """The parameters of an event's source, as far as the trigger's (normalised) schema names them."""

    schema: Mapping[str, Any]
    params: Mapping[str, Any]


@dataclass(frozen=True)
class Decision:
    """One rule's word on one event. `params` are the rendered action parameters of a match."""

    event: Seen
    rule: CompiledRule
    outcome: Outcome
    reason: str | None = None
    params: Mapping[str, Any] | None = None


def decide(event: Seen, ruleset: Ruleset, *, every: bool = False) -> list[Decision]:
    """Ask the candidate rules; backstops only when no standard rule matched.

    Of those that don't match, most are known by an index and have no decision, but with `every`.
    """
    decisions: list[Decision] = []
    matched = False
    for rule in candidates(event, ruleset, every=every):
        if rule.backstop and matched and event.rule_id is None:
            continue
        decision = ask(rule, event)
        matched = matched or (decision.outcome == Outcome.MATCHED and not rule.backstop)
        decisions.append(decision)
    return decisions


def candidates(event: Seen, ruleset: Ruleset, *, every: bool = True) -> list[CompiledRule]:
    """Return the enabled rules that an event concerns: the one it names, or all of its trigger's.

    Without `every`, those are left out whose conditions can't be true of it.
    """
    if not event.trigger_enabled:
        return []
    if event.rule_id is not None:
        rule = ruleset.by_id.get(event.rule_id)
        return [rule] if rule and rule.trigger_ref == event.trigger_ref else []
    rules = ruleset.by_trigger.get(event.trigger_ref)
    if rules is None:
        return []
    return [rule for rule in (rules if every else _possible(event, rules)) if _concerns(rule, event)]


def _possible(event: Seen, rules: Candidates[CompiledRule]) -> Iterable[CompiledRule]:
    try:
        source = event.source
        return rules.possible({"event": event.context}, event.payload, source.params if source else None)
    except Exception:  # no rule can be asked of such an event, and each of them says why
        return rules


def _concerns(rule: CompiledRule, event: Seen) -> bool:
    """Ask for the source; a rule that can't be asked is a candidate, and `ask` says why it is broken."""
    try:
        return same_source(rule, event)
    except Exception:
        return True


def same_source(rule: CompiledRule, event: Seen) -> bool:
    """Return whether the trigger parameters of a rule are those of the event's source (contract 7.1)."""
    source = event.source
    if source is None:
        return True
    mine = schemas.filled(source.schema, rule.trigger_params)
    return all(mine[name] == value for name, value in source.params.items() if name in mine)


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
        "event": event.context,
        "trigger": event.payload,
        "rule": {"id": rule.id, "ref": rule.ref, "pack_ref": rule.pack_ref},
        "pack": {"ref": rule.pack_ref, "config": rule.pack_config},
        "system": event.system,
        "key": {},
        "keystore": {},
    }


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
