"""Permission sets: how packs bring them and how identities get them."""

from collections.abc import Mapping
from typing import Any, Protocol

from .grants import check_grants
from .models import Identity, PermissionAssignment, PermissionSet


class PackLike(Protocol):
    """What is asked of a pack here: packs stand above identities."""

    pk: Any
    ref: str


class PermissionSetError(ValueError):
    """`details` says by path what is wrong with a permission set."""

    def __init__(self, details: dict[str, list[str]]) -> None:
        super().__init__("; ".join(f"{path}: {', '.join(texts)}" for path, texts in details.items()))
        self.details = details


def save_permission_set(pack: PackLike, data: Mapping[str, Any]) -> PermissionSet:
    """Make or change a pack's permission set from its file's keys; raise PermissionSetError."""
    problems = check_grants(data.get("grants", []))
    ref = data.get("ref")
    if not isinstance(ref, str) or not ref.startswith(f"{pack.ref}."):
        problems["ref"] = [f"expected {pack.ref}.<name>"]
    if problems:
        raise PermissionSetError(problems)
    values = {name: data.get(name) for name in ("label", "description")}
    saved, _ = PermissionSet.objects.update_or_create(
        ref=ref,
        defaults={**values, "grants": data.get("grants", []), "pack_id": pack.pk, "pack_ref": pack.ref},
    )
    return saved


def assign(identity: Identity, permset: PermissionSet) -> bool:
    """Give the identity the set; return whether that is new."""
    return PermissionAssignment.objects.get_or_create(identity=identity, permset=permset)[1]


def withdraw(identity: Identity, permset: PermissionSet) -> bool:
    """Take the set from the identity; return whether it had it."""
    return PermissionAssignment.objects.filter(identity=identity, permset=permset).delete()[0] > 0
