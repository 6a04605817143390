"""The keys that a run is given: those of its action's pack, and over them those of the action itself."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q, QuerySet

from attune_project.identity.keys.storing import value_of
from attune_project.identity.models import Key, OwnerType
from executions.lifecycle import Claimed


@dataclass(frozen=True)
class Given:
    """Values by name, and every text among the secret ones, however deep: what nothing may show."""

    values: dict[str, Any] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)


def keys_of(claimed: Claimed) -> Given:
    """Read what a claimed execution is given; raise UnreadableKey for a key that can't be decrypted."""
    if not claimed.has_keys:
        return Given()
    values: dict[str, Any] = {}
    secrets: list[str] = []
    rows = keys_for((claimed.action or {}).get("pack_ref", ""), claimed.action_ref)
    for key in sorted(rows, key=lambda key: key.owner_type == OwnerType.ACTION):  # the later of a name counts
        values[key.name] = value_of(key)
        if key.encrypted:
            secrets += _texts(values[key.name])
    return Given(values, tuple(secrets))


def keys_for(pack_ref: str, action_ref: str) -> QuerySet[Key]:
    """Return the keys of a pack and of an action."""
    of_pack = Q(owner_type=OwnerType.PACK, owner=pack_ref)
    of_action = Q(owner_type=OwnerType.ACTION, owner=action_ref)
    return Key.objects.filter(of_pack | of_action).order_by("id")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)
