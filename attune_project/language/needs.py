"""What must be equal in an event for conditions to hold, so that most rules need not be asked at all.

A need is a set of (place, value) pairs of which at least one must be so: if none is, the conditions are
false whatever else they say, since a false member of `all` outweighs even an error. Only clauses that can
never be an error make needs: `equals` and `inside` on a plain path, with values that were written out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .decisions import All, AnyOf, Comparison, Node
from .fields import Field

# Values that are equal have one hash, be they 1, 1.0 or true; maps and lists are left to the clause itself.
SCALARS = (str, int, float, bool)
# More pairs than this in one need, and asking the rule is cheaper than keeping them.
MOST_PAIRS = 1000

Scalar = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value is looked for; two fields that look in the same way are one place."""

    root: str
    steps: tuple[Any, ...]
    without_payload: tuple[Any, ...] | None


Need = frozenset[tuple[Place, Scalar]]


@dataclass(frozen=True, slots=True)
class Needs:
    """All needs of some conditions, and how to look into each of their places."""

    sets: tuple[Need, ...] = ()
    fields: Mapping[Place, Field] = field(default_factory=dict)


def needs_of(root: Node | None) -> Needs:
    """Return every need that conditions have; none of them, and the rule must be asked each time."""
    fields: dict[Place, Field] = {}
    sets = tuple(_sets(root, fields)) if root is not None else ()
    return Needs(sets, fields)


def _sets(node: Node, fields: dict[Place, Field]) -> list[Need]:
    if isinstance(node, All):
        return [need for member in node.members for need in _sets(member, fields)]
    if isinstance(node, AnyOf):
        return _of_any(node, fields)
    if isinstance(node, Comparison) and (values := _values(node)) is not None:
        place = _place(node.field)
        fields[place] = node.field
        return [frozenset((place, value) for value in values)]
    return []


def _of_any(node: AnyOf, fields: dict[Place, Field]) -> list[Need]:
    """One pair of one member is needed: every member must have a need, or nothing is known."""
    found = [_sets(member, fields) for member in node.members]
    if not all(found):
        return []
    need: Need = frozenset().union(*(min(sets, key=len) for sets in found))
    return [need] if len(need) <= MOST_PAIRS else []


def _values(clause: Comparison) -> list[Scalar] | None:
    """Return the values of which a clause needs one; None when it is of another kind."""
    field, pattern = clause.field, clause.pattern
    if not (pattern.is_constant and field.path.plain and _is_of_the_event(field)):
        return None
    if clause.operator.name == "equals" and isinstance(pattern.source, SCALARS):
        return [pattern.source]
    if clause.operator.name == "inside" and isinstance(pattern.source, list):
        values = pattern.source
        fits = len(values) <= MOST_PAIRS and all(isinstance(value, SCALARS) for value in values)
        return values if fits else None
    return None


def _is_of_the_event(field: Field) -> bool:
    """Tell what is the same for every rule from what is the rule's, its pack's or a key."""
    return field.root == "payload" or (field.root == "context" and field.path.steps[0] == "event")


def _place(field: Field) -> Place:
    return Place(field.root, field.path.steps, field.optional.steps if field.optional else None)


def first_keys(place: Place) -> Iterable[str] | None:
    """Return the keys of a payload of which a place needs one; None when it may look elsewhere."""
    paths = [place.steps] if place.without_payload is None else [place.steps, place.without_payload]
    if place.root != "payload" or not all(path and isinstance(path[0], str) for path in paths):
        return None
    return [path[0] for path in paths]
