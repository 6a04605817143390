"""Ask conditions what they say of a payload that nobody recorded: nothing is read, nothing is stored."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from attune_project.language.conditions import compile_conditions
from attune_project.language.decisions import Clause
from attune_project.language.templates import TemplateError, compile_template
from rules.deciding import iso
from rules.models import Outcome


@dataclass(frozen=True)
class Answer:
    """What conditions say; `rendered` are the action's parameters of a match, when any were given."""

    outcome: Outcome
    reason: str | None = None
    clauses: tuple[Clause, ...] = field(default=())
    rendered: Mapping[str, Any] | None = None

    @property
    def matched(self) -> bool:
        return self.outcome == Outcome.MATCHED


def evaluate(
    conditions: Any,
    payload: Any,
    *,
    trigger_params: Mapping[str, Any] | None = None,
    action_params: Mapping[str, Any] | None = None,
) -> Answer:
    """Decide as a rule would for an event with this payload, whose source had these trigger parameters.

    Keys and pack settings are missing, since no rule and no pack is meant. Raise ConditionError or
    TemplateError for what couldn't be saved.
    """
    context = context_of(payload, trigger_params)
    verdict = compile_conditions(conditions).evaluate(context, explain=True)
    params = None if action_params is None else compile_template(action_params)
    answer = Answer(Outcome(verdict.outcome), verdict.reason, verdict.clauses)
    if not answer.matched or params is None:
        return answer
    try:
        return Answer(answer.outcome, None, answer.clauses, params.render(context))
    except TemplateError as problem:
        return Answer(Outcome.ERROR, f"action_params: {problem}", answer.clauses)


def context_of(payload: Any, trigger_params: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the roots of deciding.context_of for an event that doesn't exist."""
    now = iso(datetime.now(UTC))
    names = ("id", "trigger", "trigger_ref", "source", "source_ref")
    config = {} if trigger_params is None else {"params": trigger_params}
    return {
        "event": {**dict.fromkeys(names), "created": now, "config": config, "payload": payload},
        "trigger": payload,
        "rule": {"id": None, "ref": None, "pack_ref": None},
        "pack": {"ref": None, "config": {}},
        "system": {"timestamp": now},
        "key": {},
        "keystore": {},
    }


def shown_clauses(clauses: tuple[Clause, ...]) -> list[dict[str, Any]]:
    """Return clauses as JSON."""
    return [
        {
            "path": clause.path,
            "operator": clause.operator,
            "value": clause.value,
            "pattern": clause.pattern,
            "outcome": clause.outcome,
        }
        for clause in clauses
    ]
