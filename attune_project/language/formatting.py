"""`'%s' % x`: text format with bounded widths, written out rather than left to Python's `%`."""

import re
from collections.abc import Mapping
from typing import Any

from .budget import ExpressionError, fits, to_text

MAX_WIDTH = 1000

_SPEC = re.compile(
    r"%(?:\((?P<key>[^()]*)\))?(?P<flags>[-+ #0]*)(?P<width>\d*)(?:\.(?P<precision>\d*))?(?P<kind>.?)",
    re.DOTALL,
)
_WHOLE = "dioxX"
_REAL = "eEfFgG"


def format_text(form: Any, arguments: list[Any]) -> str:
    """Fill in `%s`, `%d`, `%.2f`, `%(name)s` and their like; raise ExpressionError for anything else."""
    if not isinstance(form, str):
        raise ExpressionError("only text takes several values after %")
    parts: list[str] = []
    end = used = length = 0
    for spec in _SPEC.finditer(form):
        parts.append(form[end : spec.start()])
        end = spec.end()
        if spec["kind"] == "%":
            parts.append("%")
            continue
        if spec["key"] is None:
            used += 1
        parts.append(_written(spec, _argument(spec, arguments, used)))
        length += len(parts[-1])
        fits(length)
    if used != len(arguments) and not (
        used == 0 and len(arguments) == 1 and isinstance(arguments[0], Mapping)
    ):
        raise ExpressionError(f"the format takes {used} values, not {len(arguments)}")
    parts.append(form[end:])
    fits(sum(map(len, parts)))
    return "".join(parts)


def _argument(spec: re.Match[str], arguments: list[Any], used: int) -> Any:
    if spec["key"] is not None:
        if len(arguments) != 1 or not isinstance(arguments[0], Mapping):
            raise ExpressionError("%(name)s takes a map")
        return arguments[0].get(spec["key"])
    if used > len(arguments):
        raise ExpressionError(f"the format takes more than {len(arguments)} values")
    return arguments[used - 1]


def _written(spec: re.Match[str], value: Any) -> str:
    kind = spec["kind"]
    width, precision = int((spec["width"] or "0")[:9]), int((spec["precision"] or "0")[:9])
    if max(width, precision) > MAX_WIDTH:
        raise ExpressionError(f"a format is at most {MAX_WIDTH} wide")
    if kind == "s":
        value = to_text(value)
    elif not kind or kind not in _WHOLE + _REAL:
        raise ExpressionError(f"unknown format %{kind}")
    elif not isinstance(value, int | float):
        raise ExpressionError(f"%{kind} takes a number")
    elif kind in "oxX":
        value = int(value)
    dotted = "" if spec["precision"] is None else f".{precision}"
    try:
        return str(f"%{spec['flags']}{width or ''}{dotted}{kind}" % value)
    except OverflowError:
        raise ExpressionError("the number is too large") from None
