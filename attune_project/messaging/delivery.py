"""A message as a consumer sees it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Delivery:
    """A message as it came: its headers, its way (exchange, routing_key, redelivered), the ids in it."""

    headers: Mapping[str, Any]
    way: Mapping[str, Any]
    ids: list[int]

    @property
    def key(self) -> str:
        return str(self.way.get("routing_key") or "")

    @property
    def exchange(self) -> str:
        return str(self.way.get("exchange") or "")

    @property
    def probe(self) -> str | None:
        return self.headers.get("probe")

    @property
    def message_id(self) -> str:
        return str(self.headers.get("message_id") or self.headers.get("id") or "unknown")

    @property
    def came_again(self) -> bool:
        return bool(self.way.get("redelivered") or self.headers.get("redelivered"))
