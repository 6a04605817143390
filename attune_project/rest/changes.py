"""What a PUT or a PATCH means: pure functions on parsed bodies."""

from collections.abc import Collection, Mapping
from typing import Any


def put_changes(body: Mapping[str, Any], nullable: Collection[str]) -> dict[str, Any]:
    """Return what a partial PUT changes: absent and null stay, `{"op": "clear"}` makes null.

    Only nullable fields know the operations; to a map that is never null `{"op": "clear"}` is a value.
    """
    return {
        name: _operand(value) if name in nullable else value
        for name, value in body.items()
        if value is not None
    }


def _operand(value: Any) -> Any:
    if value == {"op": "clear"}:
        return None
    if isinstance(value, dict) and value.keys() == {"op", "value"} and value["op"] == "set":
        return value["value"]
    return value


def merge_patch(target: Any, patch: Any) -> Any:
    """Apply a JSON merge patch (RFC 7386)."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def patch_changes(body: Mapping[str, Any], current: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that a merge patch of a row changes; null clears, maps are merged."""
    return {
        name: merge_patch(current.get(name), value) if isinstance(value, Mapping) else value
        for name, value in body.items()
    }
