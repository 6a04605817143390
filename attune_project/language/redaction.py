"""Secrets in what is shown: each stands as a marker in its place. Pure: no database, no Django."""

from collections.abc import Mapping
from typing import Any

from .schemas import secret_names

MARKER: Mapping[str, bool] = {"$attune_secret": True, "redacted": True}


def redacted(schema: Mapping[str, Any] | None, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of the values in which each one that the schema calls secret is the marker.

    Absent and null secrets stay as they are: that there is none is no secret.
    """
    shown = dict(values)
    for name in sorted(secret_names(schema)):
        _hide(shown, name.split("."))
    return shown


def unredacted(shown: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was shown, perhaps changed, with the value that was hidden in place of each marker.

    A marker where there was nothing to hide stays what it is.
    """
    return {name: _unhidden(value, values.get(name)) for name, value in shown.items()}


def _unhidden(shown: Any, value: Any) -> Any:
    if shown == MARKER:
        return shown if value is None else value
    if isinstance(shown, dict) and isinstance(value, dict):
        return unredacted(shown, value)
    return shown


def secret_texts(schema: Mapping[str, Any] | None, values: Mapping[str, Any]) -> list[str]:
    """Return every text within the values that the schema calls secret: what output must not show."""
    found = (_look_up(values, name.split(".")) for name in sorted(secret_names(schema)))
    return [text for value in found for text in _texts(value)]


def all_redacted(values: Mapping[str, Any]) -> dict[str, Any]:
    """Hide every value: for when nobody knows any more which of them are secret."""
    return {name: None if value is None else dict(MARKER) for name, value in values.items()}


def _hide(values: dict[str, Any], path: list[str]) -> None:
    """Follow the path; a key may hold dots itself, so every way to cut the path is tried."""
    for end in range(1, len(path) + 1):
        name, rest = ".".join(path[:end]), path[end:]
        if name not in values:
            continue
        if not rest:
            values[name] = None if values[name] is None else dict(MARKER)
        elif isinstance(values[name], dict):
            values[name] = dict(values[name])
            _hide(values[name], rest)


def _look_up(values: Mapping[str, Any], path: list[str]) -> Any:
    for end in range(1, len(path) + 1):
        value, rest = values.get(".".join(path[:end])), path[end:]
        if value is not None and not rest:
            return value
        if isinstance(value, dict) and (found := _look_up(value, rest)) is not None:
            return found
    return None


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) else []
