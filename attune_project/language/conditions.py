"""Rule conditions: compiled when a rule is saved, decided for each event.

Four forms are read - a list of clauses, a group, an expression, a criteria map - and become one
tree (decisions.py). Problems are collected, so that a writer sees all of them at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .decisions import (
    All,
    AnyOf,
    Clause,
    Comparison,
    Evaluation,
    Fault,
    Formula,
    Node,
    Not,
    Outcome,
    Search,
    outcome_of,
)
from .fields import Field, read_field
from .operators import SEARCH, Operator, OperatorError, find
from .paths import PathError
from .templates import Template, TemplateError, compile_expression, compile_template, is_templated

MAX_DEPTH = 20
GROUPS = ("all", "any", "not")

__all__ = ["Clause", "ConditionError", "Conditions", "Verdict", "compile_conditions"]


class ConditionError(ValueError):
    """Conditions that can't be used; `details` names each place and what is wrong there."""

    def __init__(self, details: dict[str, list[str]]) -> None:
        super().__init__("; ".join(f"{path}: {text}" for path, texts in details.items() for text in texts))
        self.details = details


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome for one event; `reason` is null when matched, `clauses` empty unless explained."""

    outcome: Outcome
    reason: str | None = None
    clauses: tuple[Clause, ...] = ()

    @property
    def matched(self) -> bool:
        return self.outcome == "matched"


_MATCHED = Verdict("matched")


@dataclass(frozen=True, slots=True)
class Conditions:
    """Compiled conditions; without a root they are always true."""

    root: Node | None

    def evaluate(self, context: Mapping[str, Any], *, explain: bool = False) -> Verdict:
        """Decide for an event whose roots (`event` with its payload, `rule`, `pack`, ...) are in `context`.

        Never raises for what is in the data. With `explain`, every clause is decided and reported;
        without, the first that settles the outcome ends it.
        """
        if self.root is None:
            return _MATCHED
        evaluation = Evaluation(context, explain=explain)
        truth = self.root.decide(evaluation)
        if truth is True and not explain:
            return _MATCHED
        return Verdict(outcome_of(truth), _reason(truth, evaluation), tuple(evaluation.clauses or ()))


def _reason(truth: bool | Fault, evaluation: Evaluation) -> str | None:
    if isinstance(truth, Fault):
        return str(truth)
    if truth or evaluation.why is None:
        return None
    return ": ".join(evaluation.why)


def compile_conditions(raw: Any) -> Conditions:
    """Compile any of the four forms; raise ConditionError naming every problem by its path."""
    if raw is None or raw in ({}, []):
        return Conditions(None)
    reader = _Reader()
    root = reader.top(raw)
    if reader.problems or root is None:
        raise ConditionError(reader.problems)
    return Conditions(root)


class _Reader:
    """Read forms into nodes; a part with a problem becomes None and the problem is kept."""

    def __init__(self) -> None:
        self.problems: dict[str, list[str]] = {}

    def refuse(self, path: str, message: str) -> None:
        self.problems.setdefault(path, []).append(message)

    def top(self, raw: Any) -> Node | None:
        path = "conditions"
        if isinstance(raw, list):
            return self.every(raw, path, 1)
        if not isinstance(raw, dict):
            self.refuse(
                path, "expected a list of clauses, a group (all, any, not), an expression or criteria"
            )
            return None
        if _is_group(raw) or _is_expression(raw) or _is_crowded(raw):
            return self.member(raw, path, 1)
        if "field" in raw and "operator" in raw and not isinstance(raw["field"], dict):
            self.refuse(path, "a single clause stands in a list: [{field, operator, value}]")
            return None
        return self.criteria(raw, path, 1)

    def member(self, raw: Any, path: str, depth: int) -> Node | None:
        if not isinstance(raw, dict):
            self.refuse(path, "expected a clause {field, operator, value}, a group or an expression")
        elif _is_group(raw) and depth > MAX_DEPTH:
            self.refuse(path, f"groups are nested deeper than {MAX_DEPTH} levels")
        elif _is_group(raw):
            return self.group(raw, path, depth)
        elif "expression" in raw:
            return self.expression(raw, path)
        elif _names_a_group(raw):
            self.refuse(path, "a group has exactly one of all, any, not, and nothing else")
        else:
            return self.clause(raw, path, depth)
        return None

    def group(self, raw: dict[str, Any], path: str, depth: int) -> Node | None:
        ((name, content),) = raw.items()
        within = f"{path}.{name}"
        if name == "not":
            member = self.member(content, within, depth + 1)
            return Not(within, member) if member else None
        if not isinstance(content, list):
            self.refuse(within, "expected a list")
            return None
        if name == "all":
            return self.every(content, within, depth + 1)
        return AnyOf(within, self.members(content, within, depth + 1))

    def every(self, content: list[Any], path: str, depth: int) -> Node:
        return All(self.members(content, path, depth))

    def members(self, content: list[Any], path: str, depth: int) -> tuple[Node, ...]:
        read = (self.member(each, f"{path}[{index}]", depth) for index, each in enumerate(content))
        return tuple(node for node in read if node)

    def expression(self, raw: dict[str, Any], path: str) -> Node | None:
        within = f"{path}.expression"
        if set(raw) != {"expression"}:
            self.refuse(path, "an expression stands alone: {expression: ...}")
            return None
        if not isinstance(raw["expression"], str):
            self.refuse(within, "expected an expression as text")
            return None
        try:
            template = compile_expression(raw["expression"])
        except TemplateError as error:
            self.refuse(within, error.message)
            return None
        return Formula(within, template, not template.reads.isdisjoint(("event.payload", "trigger")))

    def clause(self, raw: dict[str, Any], path: str, depth: int) -> Node | None:
        self.known_keys(raw, path, ("field", "operator", "value", "condition"))
        field = self.field(raw.get("field"), f"{path}.field")
        if _names_search(raw.get("operator")):
            return self.search(raw, field, (path, "value"), depth)
        self.no_condition(raw, path)
        operator = self.operator(raw.get("operator"), f"{path}.operator")
        pattern = self.pattern(raw.get("value"), f"{path}.value", operator)
        if field is None or operator is None or pattern is None:
            return None
        return Comparison(path, field, str(raw["operator"]), operator, pattern)

    def criteria(self, raw: dict[str, Any], path: str, depth: int, *, in_search: bool = False) -> Node:
        """Read a map from path to `{type, pattern}`; all must hold."""
        read = (
            self.criterion(text, each, f"{path}.{text}", depth, in_search=in_search)
            for text, each in raw.items()
        )
        return All(tuple(node for node in read if node))

    def criterion(self, text: str, raw: Any, path: str, depth: int, *, in_search: bool) -> Node | None:
        if not isinstance(raw, dict):
            self.refuse(path, "expected {type, pattern}")
            return None
        self.known_keys(raw, path, ("type", "pattern", "condition"))
        field = self.field(text, path, criteria=True, in_search=in_search)
        if _names_search(raw.get("type")):
            return self.search(raw, field, (path, "pattern"), depth, empty_is_none=True)
        self.no_condition(raw, path)
        operator = self.operator(raw.get("type"), f"{path}.type")
        pattern = self.pattern(raw.get("pattern"), f"{path}.pattern", operator)
        if field is None or operator is None or pattern is None:
            return None
        differs = operator.name == "nequals"
        if differs and pattern.source is None:
            operator = find("exists")
        return Comparison(path, field, str(raw["type"]), operator, pattern, True, differs)

    def search(
        self,
        raw: dict[str, Any],
        field: Field | None,
        place: tuple[str, str],
        depth: int,
        *,
        empty_is_none: bool = False,
    ) -> Node | None:
        path, key = place
        pattern = raw.get(key)
        if not isinstance(pattern, dict):
            self.refuse(f"{path}.{key}", "a search takes a map such as {item.x: {type, pattern}}")
            return None
        if depth >= MAX_DEPTH:
            self.refuse(path, f"nested deeper than {MAX_DEPTH} levels")
            return None
        members = self.criteria(pattern, f"{path}.{key}", depth + 1, in_search=True)
        if field is None or not isinstance(members, All):
            return None
        return Search(path, field, raw.get("condition"), pattern, members.members, empty_is_none)

    def known_keys(self, raw: dict[str, Any], path: str, known: tuple[str, ...]) -> None:
        for key in raw:
            if key not in known:
                self.refuse(f"{path}.{key}", f"unknown key; one of {', '.join(known)}")

    def no_condition(self, raw: dict[str, Any], path: str) -> None:
        if "condition" in raw:
            self.refuse(f"{path}.condition", "only search has a condition")

    def field(self, text: Any, path: str, *, criteria: bool = False, in_search: bool = False) -> Field | None:
        if text is None:
            self.refuse(path, "this field is required")
            return None
        try:
            return read_field(text, criteria=criteria, in_search=in_search)
        except PathError as error:
            self.refuse(path, str(error))
            return None

    def operator(self, name: Any, path: str) -> Operator | None:
        if name is None:
            self.refuse(path, "this field is required")
            return None
        try:
            return find(name)
        except OperatorError as error:
            self.refuse(path, str(error))
            return None

    def pattern(self, value: Any, path: str, operator: Operator | None) -> Template | None:
        """Compile a templated text, check a literal; lists and maps are literal."""
        try:
            if is_templated(value):
                return compile_template(value)
            if operator:
                operator.check(value)
        except (TemplateError, OperatorError) as error:
            self.refuse(path, str(error))
            return None
        return Template(value, None, frozenset())


def _is_group(raw: dict[str, Any]) -> bool:
    if len(raw) != 1:
        return False
    ((name, content),) = raw.items()
    # A criteria map may hold a payload field named "all": its content is a map, not a list.
    return name == "not" or (name in GROUPS and not (isinstance(content, dict) and "type" in content))


def _is_expression(raw: dict[str, Any]) -> bool:
    return "expression" in raw and not isinstance(raw["expression"], dict)


def _names_a_group(raw: dict[str, Any]) -> bool:
    return any(name in raw for name in GROUPS)


def _is_crowded(raw: dict[str, Any]) -> bool:
    """Tell a group with more than one word from criteria on fields with such names."""
    return any(isinstance(raw.get(name), list) for name in GROUPS)


def _names_search(name: Any) -> bool:
    return isinstance(name, str) and name == SEARCH
