"""The rules as a matcher uses them: compiled once, and never older than the claim they decide."""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from django.db import connection

from attune_project.language.conditions import ConditionError, Conditions, compile_conditions
from attune_project.language.templates import Template, TemplateError, compile_template
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


@dataclass(frozen=True)
class Ruleset:
    """Every enabled rule at one revision."""

    revision: int
    by_trigger: Mapping[str, list[CompiledRule]] = field(default_factory=dict)
    by_id: Mapping[int, CompiledRule] = field(default_factory=dict)


_LOAD = """
SELECT (SELECT revision FROM ruleset_revision WHERE id = 1),
       COALESCE(jsonb_agg(jsonb_build_object(
           'id', r.id, 'ref', r.ref, 'pack_ref', r.pack_ref, 'trigger_ref', r.trigger_ref,
           'type', r.type, 'conditions', r.conditions, 'action_params', r.action_params,
           'trigger_params', r.trigger_params, 'pack_config', p.config,
           'version', (SELECT max(v.number) FROM rule_version v WHERE v.rule_id = r.id)) ORDER BY r.id), '[]')
FROM rule r JOIN pack p ON p.id = r.pack_id WHERE r.enabled
"""
_STATE = """
SELECT (SELECT revision FROM ruleset_revision WHERE id = 1),
       (SELECT array_agg(updated ORDER BY id) FROM pack)
"""

log = structlog.get_logger(__name__)
_lock = threading.Lock()
_cached: tuple[Any, Ruleset] | None = None


def current() -> Ruleset:
    """Return the rules as they are now: one small query when nothing changed.

    Called after events are claimed, so that no event is decided by rules older than its claim.
    """
    global _cached  # noqa: PLW0603 (a cache per process)
    with connection.cursor() as cursor:
        cursor.execute(_STATE)
        state = cursor.fetchone()
        cached = _cached
        if cached is not None and cached[0] == state:
            return cached[1]
        cursor.execute(_LOAD)  # one statement, one snapshot: rules and revision belong together
        revision, rows = cursor.fetchone()
    ruleset = build(revision, json.loads(rows) if isinstance(rows, str) else rows)
    with _lock:
        _cached = (state if state[0] == revision else None, ruleset)
    return ruleset


def build(revision: int, rows: list[dict[str, Any]]) -> Ruleset:
    """Compile rules from their rows; standard rules of a trigger stand before its backstops."""
    rules = [compile_rule(row) for row in rows]
    by_trigger: dict[str, list[CompiledRule]] = {}
    for rule in sorted(rules, key=lambda rule: (rule.backstop, rule.id)):
        by_trigger.setdefault(rule.trigger_ref, []).append(rule)
    return Ruleset(revision, by_trigger, {rule.id: rule for rule in rules})


def compile_rule(row: Mapping[str, Any]) -> CompiledRule:
    """Compile one rule; one that does not compile (pack content) stays, and answers with its error."""
    conditions = params = broken = None
    try:
        conditions = compile_conditions(row["conditions"])
        params = compile_template(row["action_params"] or {})
    except (ConditionError, TemplateError) as problem:
        broken = str(problem)
    except Exception as problem:  # one rule must not keep all others from being loaded
        log.exception("rule could not be compiled", rule_ref=row["ref"])
        broken = f"{type(problem).__name__}: {problem}"
    return CompiledRule(
        id=row["id"],
        ref=row["ref"],
        pack_ref=row["pack_ref"],
        trigger_ref=row["trigger_ref"],
        version=row["version"] or 0,
        backstop=row["type"] == RuleType.BACKSTOP,
        trigger_params=row["trigger_params"] or {},
        raw_conditions=row["conditions"],
        pack_config=row["pack_config"] or {},
        conditions=conditions,
        params=params,
        broken=broken,
    )
