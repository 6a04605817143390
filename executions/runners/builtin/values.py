"""Read parameters of builtin actions, whose schema an operator may have loosened."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


class BadParameter(Exception):
    """A parameter that the action cannot use; the message is for people."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"Parameter {name}: {problem}")


def seconds(parameters: Mapping[str, Any], name: str, default: float) -> float:
    """Return a duration of at least 0 s."""
    value = parameters.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadParameter(name, "expected a number of seconds")
    if not math.isfinite(value) or value < 0:
        raise BadParameter(name, "expected a number of at least 0")
    return float(value)


def flag(parameters: Mapping[str, Any], name: str, default: bool) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise BadParameter(name, "expected true or false")
    return value


def text(parameters: Mapping[str, Any], name: str, default: str = "") -> str:
    value = parameters.get(name)
    if value is None:
        return default
    if not isinstance(value, str):
        raise BadParameter(name, "expected text")
    return value


def mapping(parameters: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = parameters.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadParameter(name, "expected a map")
    return value
