"""The tree that conditions become: each node answers true, false or a fault, for one event.

In `all` a false member outweighs a fault, in `any` a true one does, and `not` of a fault is a fault.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from .fields import Field
from .operators import Operator, OperatorError, kind_of
from .paths import MISSING, PathError
from .templates import Template, TemplateError

Outcome = Literal["matched", "not_matched", "error"]


@dataclass(frozen=True, slots=True)
class Fault:
    """An error in deciding; `where` is the place in the conditions."""

    where: str
    reason: str

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


Truth = bool | Fault


@dataclass(frozen=True, slots=True)
class Clause:
    """What one clause saw and said."""

    path: str
    operator: str
    value: Any
    pattern: Any
    outcome: Outcome


class Evaluation:
    """One event being decided: what can be read, and what has been noted on the way."""

    __slots__ = ("clauses", "context", "item", "payload", "why")

    def __init__(self, context: Mapping[str, Any], *, explain: bool) -> None:
        event = context.get("event")
        self.context = context
        self.payload = event.get("payload") if type(event) is dict or isinstance(event, Mapping) else None
        self.item: Any = MISSING
        self.clauses: list[Clause] | None = [] if explain else None
        # What made the latest false: only the deciding one is ever written out.
        self.why: tuple[str, str] | None = None

    def false(self, where: str, reason: str) -> bool:
        self.why = (where, reason)
        return False

    def note(self, path: str, operator: str, value: Any, pattern: Any, truth: Truth) -> None:
        if self.clauses is not None:
            shown = None if value is MISSING else value
            self.clauses.append(Clause(path, operator, shown, pattern, outcome_of(truth)))


def outcome_of(truth: Truth) -> Outcome:
    return "matched" if truth is True else "not_matched" if truth is False else "error"


class Node(Protocol):
    def decide(self, evaluation: Evaluation) -> Truth: ...


@dataclass(frozen=True, slots=True)
class All:
    """True unless a member is not; an empty one is true."""

    members: tuple[Node, ...]

    def decide(self, evaluation: Evaluation) -> Truth:
        outcome: Truth = True
        for member in self.members:
            truth = member.decide(evaluation)
            if truth is False:
                if evaluation.clauses is None:
                    return False
                outcome = False
            elif truth is not True and outcome is True:
                outcome = truth
        return outcome


@dataclass(frozen=True, slots=True)
class AnyOf:
    """False unless a member is not; an empty one is false."""

    where: str
    members: tuple[Node, ...]

    def decide(self, evaluation: Evaluation) -> Truth:
        if not self.members:
            return evaluation.false(self.where, "an empty any is false")
        outcome: Truth = False
        for member in self.members:
            truth = member.decide(evaluation)
            if truth is True:
                if evaluation.clauses is None:
                    return True
                outcome = True
            elif truth is not False and outcome is False:
                outcome = truth
        return outcome


@dataclass(frozen=True, slots=True)
class Not:
    where: str
    member: Node

    def decide(self, evaluation: Evaluation) -> Truth:
        truth = self.member.decide(evaluation)
        if isinstance(truth, Fault):
            return truth
        return evaluation.false(self.where, "what it denies is true") if truth else True


@dataclass(frozen=True, slots=True)
class Formula:
    """An expression, true as Python takes its value."""

    where: str
    template: Template
    needs_payload: bool

    def decide(self, evaluation: Evaluation) -> Truth:
        value: Any = None
        truth: Truth
        if self.needs_payload and evaluation.payload is None:
            truth = evaluation.false(self.where, "the event has no payload")
        else:
            try:
                value = self.template.render(evaluation.context)
                truth = bool(value) or evaluation.false(self.where, "the expression is not true")
            except TemplateError as error:
                truth = Fault(self.where, str(error))
        evaluation.note("expression", "expression", value, self.template.source, truth)
        return truth


@dataclass(frozen=True, slots=True)
class Comparison:
    """One clause. In a criteria map a missing field differs from any pattern (`missing_differs`)."""

    where: str
    field: Field
    name: str
    operator: Operator
    pattern: Template
    empty_is_none: bool = False
    missing_differs: bool = False

    def decide(self, evaluation: Evaluation) -> Truth:
        value: Any = MISSING
        pattern = self.pattern.source
        truth: Truth
        try:
            if self.field.root == "payload" and _no_payload(evaluation, self.empty_is_none):
                truth = evaluation.false(self.where, "the event has no payload")
            else:
                value = self.field.value(evaluation.context, evaluation.payload, evaluation.item)
                if (value is not MISSING and value is not None) or self.missing_differs:
                    pattern = self.pattern.render(evaluation.context)
                truth = self._test(value, pattern) or evaluation.false(self.where, self._denial(value))
        except (OperatorError, PathError, TemplateError) as error:
            truth = Fault(self.where, f"{self.field.text} {self.name}: {error}")
        evaluation.note(self.field.text, self.name, value, pattern, truth)
        return truth

    def _test(self, value: Any, pattern: Any) -> bool:
        if value is MISSING or value is None:
            return self.operator.takes_missing or (self.missing_differs and pattern is not None)
        if pattern is None and not self.operator.takes_null:
            return False
        return self.operator.test(value, pattern)

    def _denial(self, value: Any) -> str:
        missing = value is MISSING or value is None
        return f"{self.field.text} is missing" if missing else f"{self.field.text} {self.name} is not true"


def _no_payload(evaluation: Evaluation, empty_is_none: bool) -> bool:
    return evaluation.payload is None or (empty_is_none and evaluation.payload == {})


@dataclass(frozen=True, slots=True)
class Search:
    """`search`: whether items of a list meet their own criteria, each starting at `item`."""

    where: str
    field: Field
    condition: Any
    pattern: Any
    members: tuple[Node, ...]
    empty_is_none: bool = False

    def decide(self, evaluation: Evaluation) -> Truth:
        value: Any = MISSING
        truth: Truth
        if self.field.root == "payload" and _no_payload(evaluation, self.empty_is_none):
            truth = evaluation.false(self.where, "the event has no payload")
        else:
            try:
                value = self.field.value(evaluation.context, evaluation.payload, evaluation.item)
                truth = self._search(evaluation, value)
            except (OperatorError, PathError) as error:
                truth = Fault(self.where, f"{self.field.text} search: {error}")
        evaluation.note(self.field.text, "search", value, self.pattern, truth)
        return truth

    def _search(self, evaluation: Evaluation, value: Any) -> bool:
        if value is MISSING or value is None:
            return evaluation.false(self.where, f"{self.field.text} is missing")
        if self.condition not in SEARCHES:
            raise OperatorError(f"the condition is one of {', '.join(SEARCHES)}, not {self.condition!r}")
        every_item, every_member = SEARCHES[self.condition]
        met = (self._met(evaluation, item, every_member) for item in _items(value))
        found = all(met) if every_item else any(met)
        return found or evaluation.false(self.where, f"{self.field.text} search is not true")

    def _met(self, evaluation: Evaluation, item: Any, every_member: bool) -> bool:
        """Decide the members for one item; a fault in one is false here, and noted."""
        outer, evaluation.item = evaluation.item, item
        try:
            truths = (member.decide(evaluation) is True for member in self.members)
            return all(truths) if every_member else any(truths)
        finally:
            evaluation.item = outer


# condition: (must every item do, must an item meet every member)
SEARCHES = {"any": (False, True), "all": (True, True), "any2any": (False, False), "all2any": (True, False)}


def _items(value: Any) -> Iterator[Any]:
    """A map is one item, a text its characters."""
    if isinstance(value, dict):
        return iter([value])
    if isinstance(value, list | str):
        return iter(value)
    raise OperatorError(f"search does not take {kind_of(value)}")
