"""Which of a trigger's rules an event may match, without asking those that it can't.

Of each rule one need (language/needs.py) is looked up instead of asked: the one that the fewest rules
share. What is left out would answer `not_matched`, whatever else its conditions hold. A rule without a need
is looked up by one of its trigger parameters, which counts for events whose source has that parameter.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from attune_project.language.fields import Field
from attune_project.language.needs import SCALARS, Needs, Place, Scalar, first_keys

Numbers = dict[Scalar, list[int]]


class Rule(Protocol):
    @property
    def needs(self) -> Needs: ...
    @property
    def trigger_params(self) -> Any: ...


R = TypeVar("R", bound=Rule)


@dataclass(frozen=True)
class Looked:
    """A place of events, and the numbers of the rules that need each value there."""

    where: Field
    numbers: Numbers = field(default_factory=dict)

    def hits(self, context: Mapping[str, Any], payload: Any) -> Sequence[int]:
        return _at(self.numbers, self.where.value(context, payload, None))


class Candidates(Generic[R]):
    """The rules of one trigger, in the order in which they are asked."""

    def __init__(self, rules: Sequence[R]) -> None:
        self._rules = rules
        self._always: list[int] = []
        self._by_param: dict[str, Numbers] = {}
        self._by_key: dict[str, list[Looked]] = {}
        self._anywhere: list[Looked] = []
        self._file_all()

    def __iter__(self) -> Iterator[R]:
        return iter(self._rules)

    def possible(
        self, context: Mapping[str, Any], payload: Any, params: Mapping[str, Any] | None
    ) -> Iterable[R]:
        """Return the rules that must be asked of an event, in order.

        `context` has the root `event`; `params` are those of the event's source that are compared with the
        rules', None when they take no part.
        """
        if len(self._always) == len(self._rules):
            return self._rules
        found = set(self._always)
        for looked in self._looked_for(payload):
            found.update(looked.hits(context, payload))
        for name, numbers in self._by_param.items():
            if params is not None and name in params:
                found.update(_at(numbers, params[name]))
            else:
                found.update(*numbers.values())
        return [self._rules[number] for number in sorted(found)]

    def _looked_for(self, payload: Any) -> Iterator[Looked]:
        yield from self._anywhere
        if isinstance(payload, dict):
            for key in payload.keys() & self._by_key.keys():
                yield from self._by_key[key]

    def _file_all(self) -> None:
        needed = Counter(pair for rule in self._rules for need in rule.needs.sets for pair in need)
        given = Counter(pair for rule in self._rules for pair in _scalars(rule.trigger_params))
        places: dict[Place, Looked] = {}
        for number, rule in enumerate(self._rules):
            if rule.needs.sets:
                need = min(rule.needs.sets, key=lambda need: sum(needed[pair] for pair in need))
                for place, value in need:
                    looked = places.setdefault(place, Looked(rule.needs.fields[place]))
                    looked.numbers.setdefault(value, []).append(number)
            elif pairs := _scalars(rule.trigger_params):
                name, value = min(pairs, key=given.__getitem__)
                self._by_param.setdefault(name, {}).setdefault(value, []).append(number)
            else:
                self._always.append(number)
        for place, looked in places.items():
            self._file_place(place, looked)

    def _file_place(self, place: Place, looked: Looked) -> None:
        keys = first_keys(place)
        if keys is None:
            self._anywhere.append(looked)
        for key in keys or ():
            self._by_key.setdefault(key, []).append(looked)


def _at(numbers: Numbers, value: Any) -> Sequence[int]:
    return numbers.get(value, ()) if isinstance(value, SCALARS) else ()


def _scalars(params: Any) -> list[tuple[str, Scalar]]:
    """Return the parameters that can be looked up. Those that are no map fail when the rule is asked."""
    if not isinstance(params, dict):
        return []
    return [(name, value) for name, value in params.items() if isinstance(value, SCALARS)]
