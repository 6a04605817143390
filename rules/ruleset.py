"""The rules as a matcher uses them: compiled once, and never older than the claim they decide."""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from attune_project.language.conditions import ConditionError, Conditions, compile_conditions
from attune_project.language.needs import Needs, needs_of
from attune_project.language.templates import Template, TemplateError, compile_template
from attune_project.statements import rows_of
from rules.candidates import Candidates
from rules.models import RuleType


@dataclass(frozen=True)
class CompiledRule:
    """One enabled rule, ready to be asked. `broken` says why it can only answer with an error."""

    id: int
    ref: str
    pack_ref: str
    trigger_ref: str
    version: int
    backstop: bool
    trigger_params: Mapping[str, Any]
    raw_conditions: Any
    pack_config: Mapping[str, Any]
    conditions: Conditions | None = None
    params: Template | None = None
    broken: str | None = None
    needs: Needs = field(default_factory=Needs)


@dataclass(frozen=True)
class Ruleset:
    """Every enabled rule at one revision; `mark` is the newest version of a rule at that revision."""

    revision: int
    by_trigger: Mapping[str, Candidates[CompiledRule]] = field(default_factory=dict)
    by_id: Mapping[int, CompiledRule] = field(default_factory=dict)
    mark: Any = None


# Of a database that was put back to an earlier state, or of another one, a revision may mean other rules: so
# the newest version of a rule at that revision goes with it. One statement, one snapshot each.
_LOAD = """
SELECT (SELECT revision FROM ruleset_revision WHERE id = 1),
       (SELECT jsonb_build_array(max(id), max(created)) FROM rule_version
        WHERE revision = (SELECT revision FROM ruleset_revision WHERE id = 1)),
       COALESCE(jsonb_agg(jsonb_build_object(
           'id', r.id, 'ref', r.ref, 'pack_ref', r.pack_ref, 'trigger_ref', r.trigger_ref,
           'type', r.type, 'conditions', r.conditions, 'action_params', r.action_params,
           'trigger_params', r.trigger_params, 'pack_config', p.config,
           'version', (SELECT max(v.number) FROM rule_version v WHERE v.rule_id = r.id)) ORDER BY r.id), '[]')
FROM rule r JOIN pack p ON p.id = r.pack_id WHERE r.enabled
"""
_CHANGED = """
WITH changed AS MATERIALIZED
         (SELECT DISTINCT rule_id AS id FROM rule_version WHERE revision > %(since)s::bigint),
     loaded (revision, mark, rows) AS (LOADED AND r.id IN (SELECT id FROM changed))
SELECT loaded.*, (SELECT COALESCE(jsonb_agg(id), '[]') FROM changed),
       (SELECT jsonb_build_array(max(id), max(created)) FROM rule_version WHERE revision = %(since)s::bigint),
       (SELECT count(*) FROM rule r JOIN pack p ON p.id = r.pack_id WHERE r.enabled)
FROM loaded
""".replace("LOADED", _LOAD)
# Columns of a statement: what they say is the same as long as no rule and no pack has changed.
STATE = """(SELECT revision FROM ruleset_revision WHERE id = 1),
       (SELECT hashtextextended(array_agg(updated ORDER BY id)::text, 0) FROM pack)"""
State = tuple[int | None, int | None]

log = structlog.get_logger(__name__)
_lock = threading.Lock()
_cached: tuple[State | None, Ruleset] | None = None


def at(state: State) -> Ruleset:
    """Return the rules as they were at a state that was read just now, or newer ones.

    Whoever claims events reads it in the statement of the claim: so no event is decided by rules older than
    its claim. Of many rules only those that changed are read and compiled.
    """
    global _cached  # noqa: PLW0603 (a cache per process)
    cached = _cached
    if cached is not None and cached[0] == state:
        return cached[1]
    ruleset = None
    if cached is not None and cached[0] is not None and cached[0][1] == state[1]:
        ruleset = _changed_since(cached[1])
    if ruleset is None:
        ruleset = _load(cached[1] if cached else Ruleset(0))
    with _lock:
        _cached = (state if state[0] == ruleset.revision else None, ruleset)
    return ruleset


def _load(known: Ruleset) -> Ruleset:
    revision, mark, rows = rows_of(_LOAD)[0]
    return build(revision, _json(rows), known, mark=_json(mark))


def _changed_since(known: Ruleset) -> Ruleset | None:
    """Return the rules with what has changed; None when they don't follow from those that are known."""
    revision, mark, rows, ids, earlier, enabled = rows_of(_CHANGED, {"since": known.revision})[0]
    if known.mark is None or known.mark[0] is None or _json(earlier) != known.mark:
        return None
    ruleset = _with(known, set(_json(ids)), [compile_rule(row) for row in _json(rows)], revision, _json(mark))
    return ruleset if len(ruleset.by_id) == enabled else None


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def build(
    revision: int, rows: list[dict[str, Any]], known: Ruleset = Ruleset(0), mark: Any = None
) -> Ruleset:
    """Compile rules from their rows, but for those versions that are compiled already."""
    rules = [_again(known.by_id.get(row["id"]), row) or compile_rule(row) for row in rows]
    return _with(Ruleset(0), set(), rules, revision, mark)


def _again(known: CompiledRule | None, row: Mapping[str, Any]) -> CompiledRule | None:
    """Return a version that is compiled already, with what isn't of the rule itself as it is now."""
    if known is None or known.params is None or known.version != row["version"]:
        return None
    if (known.raw_conditions, known.params.source) != (row["conditions"], row["action_params"] or {}):
        return None  # the versions of another database: one that was put back to an earlier state
    return replace(known, **_plain(row))


def _with(known: Ruleset, gone: set[int], rules: list[CompiledRule], revision: int, mark: Any) -> Ruleset:
    """Replace rules; standard rules of a trigger stand before its backstops."""
    by_id = {rule_id: rule for rule_id, rule in known.by_id.items() if rule_id not in gone}
    by_id |= {rule.id: rule for rule in rules}
    touched = {rule.trigger_ref for rule in rules}
    touched |= {known.by_id[rule_id].trigger_ref for rule_id in gone if rule_id in known.by_id}
    grouped: dict[str, list[CompiledRule]] = {}
    for rule in sorted(by_id.values(), key=lambda rule: (rule.backstop, rule.id)):
        if rule.trigger_ref in touched:
            grouped.setdefault(rule.trigger_ref, []).append(rule)
    untouched = {ref: rules for ref, rules in known.by_trigger.items() if ref not in touched}
    by_trigger = {**untouched, **{ref: Candidates(rules) for ref, rules in grouped.items()}}
    return Ruleset(revision, by_trigger, by_id, mark)


def compile_rule(row: Mapping[str, Any]) -> CompiledRule:
    """Compile one rule; one that does not compile (pack content) stays, and answers with its error."""
    conditions = params = broken = None
    needs = Needs()
    try:
        conditions = compile_conditions(row["conditions"])
        params = compile_template(row["action_params"] or {})
        if isinstance(row["trigger_params"] or {}, dict):  # else it must be asked, to say that
            needs = needs_of(conditions.root)
    except (ConditionError, TemplateError) as problem:
        broken = str(problem)
    except Exception as problem:  # one rule must not keep all others from being loaded
        log.exception("rule could not be compiled", rule_ref=row["ref"])
        broken = f"{type(problem).__name__}: {problem}"
    return CompiledRule(**_plain(row), conditions=conditions, params=params, broken=broken, needs=needs)


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what needs no compiling."""
    return {
        **{name: row[name] for name in ("id", "ref", "pack_ref", "trigger_ref")},
        "version": row["version"] or 0,
        "backstop": row["type"] == RuleType.BACKSTOP,
        "trigger_params": row["trigger_params"] or {},
        "raw_conditions": row["conditions"],
        "pack_config": row["pack_config"] or {},
    }
