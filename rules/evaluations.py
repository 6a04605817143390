"""What every candidate rule said of an event.

Matches have their enforcement and errors their row. A non-match has neither: it is worked out when somebody
asks, from the version of the rule that was in force when the event was decided. Keys and the settings of
packs aren't kept with the event; what hung on them alone is said to be not reproducible.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Never

from attune_project.language import schemas
from attune_project.language.budget import ExpressionError
from attune_project.language.conditions import Verdict
from attune_project.language.paths import PathError
from rules.deciding import Seen, context_of, iso, same_source
from rules.evaluating import shown_clauses
from rules.models import Enforcement, Outcome, RuleEvaluation, RuleType, RuleVersion
from rules.ruleset import CompiledRule, compile_rule
from sensors.models import Event, Trigger

NOT_REPRODUCIBLE = "not reproducible"


@dataclass(frozen=True)
class Evaluation:
    """One rule's word on one event, wherever it is kept; `id` is None where it has no row."""

    event: int
    rule: int | None
    rule_ref: str
    rule_version: int
    outcome: Outcome
    created: datetime
    updated: datetime
    reason: str | None = None
    detail: Mapping[str, Any] | None = None
    id: int | None = None


def evaluations_of(event: Event) -> list[Evaluation]:
    """Return what each candidate rule said, by rule; empty while the event is undecided."""
    matches = list(Enforcement.objects.filter(event=event).defer("config", "payload", "conditions"))
    kept = list(RuleEvaluation.objects.filter(event=event))
    known = {row.rule_id for row in matches} | {row.rule_id for row in kept}
    found = [*map(_of_match, matches), *map(_of_row, kept)]
    if event.ruleset_revision is not None:
        others = [version for version in candidates_at(event) if version.rule_id not in known]
        found += _worked_out(event, others, matches)
    return sorted(found, key=lambda one: one.rule or 0)


def candidates_at(event: Event) -> list[RuleVersion]:
    """Return the versions of the rules that were candidates at the revision that decided the event."""
    named = RuleVersion.objects.filter(definition__trigger_ref=event.trigger_ref)
    if event.rule_id is not None:
        named = named.filter(rule_id=event.rule_id)
    versions = RuleVersion.objects.filter(rule_id__in=named.order_by().values("rule_id"))
    latest = versions.filter(revision__lte=event.ruleset_revision or 0).order_by("rule_id", "-number")
    return [
        version
        for version in latest.distinct("rule_id")
        if version.definition["enabled"] and version.definition["trigger_ref"] == event.trigger_ref
    ]


def _of_match(row: Enforcement) -> Evaluation:
    return Evaluation(
        event=row.event_id or 0,
        rule=row.rule_id,
        rule_ref=row.rule_ref,
        rule_version=row.rule_version,
        outcome=Outcome.MATCHED,
        created=row.created,
        updated=row.updated,
        detail={"enforcement": row.pk, "execution": row.execution_id},
    )


def _of_row(row: RuleEvaluation) -> Evaluation:
    return Evaluation(
        event=row.event_id,
        rule=row.rule_id,
        rule_ref=row.rule_ref,
        rule_version=row.rule_version,
        outcome=Outcome(row.outcome),
        created=row.created,
        updated=row.updated,
        reason=row.reason,
        detail=row.detail,
        id=row.pk,
    )


def _worked_out(event: Event, others: list[RuleVersion], matches: list[Enforcement]) -> Iterator[Evaluation]:
    if not others:
        return
    seen = _seen(event)
    standard_matched = event.rule_id is None and _any_standard(matches)
    moment = event.decided_at or event.updated
    for version in others:
        rule = _compiled(version)
        reason, detail = _denial(rule, seen, moment, standard_matched)
        yield Evaluation(
            event=event.pk,
            rule=version.rule_id,
            rule_ref=version.rule_ref,
            rule_version=version.number,
            outcome=Outcome.NOT_MATCHED,
            created=moment,
            updated=moment,
            reason=reason,
            detail=detail,
        )


def _seen(event: Event) -> Seen:
    schema = Trigger.objects.filter(ref=event.trigger_ref).values_list("param_schema", flat=True).first()
    return Seen(
        id=event.pk,
        trigger_ref=event.trigger_ref,
        payload=event.payload,
        config=event.config or {},
        rule_id=event.rule_id,
        source_ref=event.source_ref,
        trace_id=event.trace_id,
        created=event.created,
        trigger_enabled=True,
        param_schema=schema,
    )


def _compiled(version: RuleVersion) -> CompiledRule:
    ref = version.rule_ref
    known = {"id": version.rule_id, "ref": ref, "pack_ref": ref.partition(".")[0], "version": version.number}
    return compile_rule({**version.definition, **known, "pack_config": {}})


def _any_standard(matches: list[Enforcement]) -> bool:
    """Tell whether a standard rule matched: then backstops weren't asked."""
    versions = RuleVersion.objects.filter(rule_id__in=[row.rule_id for row in matches if row.rule_id])
    types = dict(versions.order_by("number").values_list("rule_id", "definition__type"))
    return any(kind == RuleType.STANDARD for kind in types.values())


Denial = tuple[str, dict[str, Any] | None]


def _denial(rule: CompiledRule, seen: Seen, moment: datetime, standard_matched: bool) -> Denial:
    """Return why a rule did not match, and the clauses with what they saw."""
    if seen.rule_id is None and not same_source(rule, seen):
        return f"trigger_params differ from the source's: {', '.join(_differing(rule, seen))}", None
    if rule.backstop and standard_matched:
        return "a backstop is tried only when no standard rule matched", None
    if rule.conditions is None:
        return f"{NOT_REPRODUCIBLE}: {rule.broken}", None
    return _said(rule.conditions.evaluate(_context(rule, seen, moment), explain=True))


def _said(verdict: Verdict) -> Denial:
    detail = {"clauses": shown_clauses(verdict.clauses)}
    if verdict.outcome == "not_matched":
        return verdict.reason or "the conditions are not true", detail
    why = verdict.reason or "by what is known now it would match; the trigger or a clock differed then"
    return f"{NOT_REPRODUCIBLE}: {why}", detail


def _differing(rule: CompiledRule, seen: Seen) -> list[str]:
    mine, theirs = schemas.with_defaults(seen.param_schema, rule.trigger_params), seen.config["params"]
    return sorted(name for name in mine if name in theirs and mine[name] != theirs[name])


def _context(rule: CompiledRule, seen: Seen, moment: datetime) -> dict[str, Any]:
    """Return what the rule could read then, but for what isn't kept."""
    unkept = dict.fromkeys(("key", "keystore", "st2kv"), NotKept())
    pack = {"ref": rule.pack_ref, "config": NotKept()}
    return {**context_of(rule, seen), "system": {"timestamp": iso(moment)}, "pack": pack, **unkept}


class Unknowable(PathError, ExpressionError):
    """A look at what isn't kept: a fault of the clause that looks, which a false one outweighs."""


class NotKept(Mapping[str, Any]):
    """A map of which nobody can say any more what it held."""

    def __getitem__(self, name: str) -> Never:
        raise Unknowable("it hangs on a key or a pack's setting, which isn't kept with the event")

    def get(self, name: str, default: Any = None) -> Any:
        return self[name]

    def __contains__(self, name: object) -> bool:
        return bool(self[str(name)])

    def __iter__(self) -> Iterator[str]:
        return iter(self[""])

    def __len__(self) -> int:
        return len(self[""])
