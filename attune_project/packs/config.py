"""A pack's settings: secret ones are shown as a marker, and a marker that comes back changes nothing."""

import copy
from collections.abc import Mapping
from typing import Any

from attune_project.language.schemas import secret_names

MARKER = {"$attune_secret": True, "redacted": True}


def redacted(config: Mapping[str, Any], schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the settings with every secret replaced by the marker."""
    shown = copy.deepcopy(dict(config))
    for name in secret_names(schema):
        holder, last = _holder(shown, name)
        if holder is not None and holder.get(last) is not None:
            holder[last] = dict(MARKER)
    return shown


def restored(
    given: Mapping[str, Any], stored: Mapping[str, Any], schema: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return settings to be stored: a marker in place of a secret means the secret that is there already."""
    result = copy.deepcopy(dict(given))
    for name in secret_names(schema):
        holder, last = _holder(result, name)
        if holder is None or holder.get(last) != MARKER:
            continue
        before, _ = _holder(dict(stored), name)
        if before is None or last not in before:
            del holder[last]
        else:
            holder[last] = copy.deepcopy(before[last])
    return result


def _holder(config: dict[str, Any], dotted: str) -> tuple[dict[str, Any] | None, str]:
    """Return the map that holds a dotted name, if there is one, and the last part of the name."""
    *path, last = dotted.split(".")
    holder: Any = config
    for part in path:
        holder = holder.get(part) if isinstance(holder, dict) else None
    return (holder if isinstance(holder, dict) else None), last
