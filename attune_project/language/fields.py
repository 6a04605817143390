"""Where the field of a clause starts: in the payload, in the event's context, or in a searched item."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .operations import look_up_key
from .paths import Path, PathError, parse

EVENT_FIELDS = frozenset(("id", "created", "trigger", "trigger_ref", "source", "source_ref", "config"))

Root = Literal["payload", "context", "key", "item"]


@dataclass(frozen=True, slots=True)
class Field:
    """A field path with the place that it starts from.

    `optional` is the same path after a leading `payload.`, taken when the payload has no such key.
    """

    text: str
    root: Root
    path: Path
    optional: Path | None = None

    def value(self, context: Mapping[str, Any], payload: Any, item: Any) -> Any:
        """Return the first hit or MISSING; raise PathError when the path looks at too much."""
        if self.root == "context":
            return self.path.first(context)
        if self.root == "item":
            return self.path.first(item)
        if self.root == "key":
            return look_up_key(context.get("key"), [str(step) for step in self.path.steps])
        if self.optional is not None and not (isinstance(payload, Mapping) and "payload" in payload):
            return self.optional.first(payload)
        return self.path.first(payload)


def read_field(text: Any, *, criteria: bool = False, in_search: bool = False) -> Field:
    """Read a field path; raise PathError.

    In a criteria map `trigger.` is the payload and a `#tag` lets one path occur twice; within a
    search every path starts at `item`.
    """
    if not isinstance(text, str):
        raise PathError("a field is a path as text")
    path = parse(_untagged(text) if criteria else text)
    if in_search:
        if path.steps[0] != "item":
            raise PathError(f"path {text!r}: within a search, paths begin with 'item'")
        return Field(text, "item", path.after(1))
    return _rooted(text, path, criteria)


def _rooted(text: str, path: Path, criteria: bool) -> Field:
    first, second = (*path.steps, None, None)[:2]
    if first == "event" and second == "payload":
        return Field(text, "payload", path.after(2))
    if first == "event" and second in EVENT_FIELDS:
        return Field(text, "context", path)
    if (first == "rule" and second is not None) or (first == "pack" and second == "config"):
        return Field(text, "context", path)
    if first == "key" and second is not None and all(isinstance(step, str) for step in path.steps):
        return Field(text, "key", path.after(1))
    if criteria and first == "trigger":
        return Field(text, "payload", path.after(1))
    return Field(text, "payload", path, path.after(1) if first == "payload" else None)


def _untagged(text: str) -> str:
    """Drop a `#tag`, unless the `#` stands within quotes."""
    head, mark, tag = text.rpartition("#")
    return head if mark and not any(quote in tag for quote in "'\"]") else text
