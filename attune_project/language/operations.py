"""What the operators of expressions do: look-ups, arithmetic, comparison, each within the budget."""

import operator
from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import nodes

from .budget import Budget, ExpressionError, fits
from .formatting import format_text
from .functions import finite
from .operators import kind_of


def entry(value: Any, key: str) -> Any:
    """Return the entry of a map; anything else has none, whatever attributes it may have."""
    return value.get(key) if isinstance(value, Mapping) else None


def look_up(value: Any, key: Any) -> Any:
    """Return the entry of a map, the item of a list or the character of a text; null when there is none."""
    if isinstance(value, Mapping):
        return value.get(key) if isinstance(key, str) else None
    if isinstance(value, list | str) and type(key) is int and -len(value) <= key < len(value):
        return value[key]
    return None


def look_up_key(value: Any, names: list[str]) -> Any:
    """Find `key.a.b.c`: the longest prefix that is a key's ref, then the rest within its value."""
    if not isinstance(value, Mapping):
        return None
    for length in range(len(names), 0, -1):
        ref = ".".join(names[:length])
        if ref in value:
            found = value[ref]
            for name in names[length:]:
                found = look_up(found, name)
            return found
    return None


def _numbers(left: Any, right: Any) -> bool:
    return isinstance(left, int | float) and isinstance(right, int | float)


def _arithmetic(sign: str, compute: Callable[[Any, Any], Any]) -> Callable[[Budget, Any, Any], Any]:
    def apply(budget: Budget, left: Any, right: Any) -> Any:
        if not _numbers(left, right):
            raise ExpressionError(f"{kind_of(left)} {sign} {kind_of(right)} is not defined")
        try:
            return finite(compute(left, right))
        except ZeroDivisionError:
            raise ExpressionError("division by zero") from None
        except OverflowError:
            raise ExpressionError("the number is too large") from None

    return apply


_add_numbers = _arithmetic("+", operator.add)
multiply_numbers = _arithmetic("*", operator.mul)


def _weight(value: str | list[Any]) -> int:
    """Return the steps that copying a text or a list costs."""
    return len(value) >> 8 if isinstance(value, str) else len(value)


def _add(budget: Budget, left: Any, right: Any) -> Any:
    if isinstance(left, str | list) and type(left) is type(right):
        fits(len(left) + len(right))
        budget.spend(_weight(left) + _weight(right))
        return operator.add(left, right)
    return _add_numbers(budget, left, right)


def _multiply(budget: Budget, left: Any, right: Any) -> Any:
    if isinstance(right, str | list):
        left, right = right, left
    if isinstance(left, str | list) and type(right) is int:
        length = len(left) * max(right, 0)
        fits(length)
        budget.spend(length >> (8 if isinstance(left, str) else 0))
        return left * right
    return multiply_numbers(budget, left, right)


_remainder = _arithmetic("%", operator.mod)


def _modulo(budget: Budget, left: Any, right: Any) -> Any:
    return format_text(left, [right]) if isinstance(left, str) else _remainder(budget, left, right)


BINARY = {
    nodes.Add: _add,
    nodes.Sub: _arithmetic("-", operator.sub),
    nodes.Mul: _multiply,
    nodes.Div: _arithmetic("/", operator.truediv),
    nodes.FloorDiv: _arithmetic("//", operator.floordiv),
    nodes.Mod: _modulo,
}


def _equal(budget: Budget, left: Any, right: Any) -> bool:
    if isinstance(left, list | dict) and isinstance(right, list | dict):
        budget.spend_on(left)
        budget.spend_on(right)
    return bool(left == right)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Budget, Any, Any], bool]:
    def ordered(budget: Budget, left: Any, right: Any) -> bool:
        if left is None or right is None:
            return False
        if not _numbers(left, right) and type(left) is not type(right):
            raise ExpressionError(f"{kind_of(left)} and {kind_of(right)} have no order")
        budget.spend_on(left)
        try:
            return compare(left, right)
        except TypeError:
            raise ExpressionError(f"{kind_of(left)} and {kind_of(right)} have no order") from None

    return ordered


def _in(budget: Budget, item: Any, container: Any) -> bool:
    budget.spend_on(container)
    if isinstance(container, str):
        if not isinstance(item, str):
            raise ExpressionError(f"text holds text, not {kind_of(item)}")
        return item in container
    if isinstance(container, list):
        return item in container
    if isinstance(container, Mapping):
        return isinstance(item, str) and item in container
    if container is None:
        return False
    raise ExpressionError(f"{kind_of(container)} holds nothing to look for")


COMPARE: dict[str, Callable[[Budget, Any, Any], bool]] = {
    "eq": _equal,
    "ne": lambda budget, left, right: not _equal(budget, left, right),
    "lt": _ordered(operator.lt),
    "lteq": _ordered(operator.le),
    "gt": _ordered(operator.gt),
    "gteq": _ordered(operator.ge),
    "in": _in,
    "notin": lambda budget, item, container: not _in(budget, item, container),
}
