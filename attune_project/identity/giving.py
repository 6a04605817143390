"""Giving rights to others: no one hands out more than they have."""

from typing import Any

from rest_framework.exceptions import PermissionDenied

from attune_project.rest.errors import Conflict, Unprocessable

from .grants import check_grants, readable
from .models import Identity, PermissionSet
from .rbac import Caller, grants_of, holds

REFUSAL = "Permission denied: permissions:assign"


def require_giveable(giver: Caller, grants: Any) -> None:
    """Raise 422 for grants that nobody can judge, 403 for those that the giver lacks."""
    problems = check_grants(grants)
    if problems:
        raise Unprocessable(problems)
    if not holds(giver, readable(grants)):
        raise PermissionDenied(REFUSAL)


def require_role(giver: Caller, role: str) -> None:
    """Raise 403 unless the giver holds every set that comes with the role."""
    for grants in PermissionSet.objects.filter(roles__role=role).values_list("grants", flat=True):
        if not holds(giver, readable(grants)):
            raise PermissionDenied(REFUSAL)


def within_reach(caller: Caller, identity: Identity) -> bool:
    """Tell whether the caller has every right of the identity, and so may take its place.

    Whoever sets a password, or freezes who could stop them, has the other's rights.
    """
    if not isinstance(caller, Identity) or (identity.is_superuser and not caller.has_every_right):
        return False
    return (caller.pk == identity.pk and caller.run is None) or holds(caller, grants_of(identity))


def require_within_reach(caller: Caller, identity: Identity, action: str) -> None:
    if not within_reach(caller, identity):
        raise PermissionDenied(f"Permission denied: identities:{action}")


def require_another_administrator(identity: Identity) -> None:
    """Raise 409 for the last administrator: without one, nobody can give rights any more.

    Call it in the transaction of the change: two administrators that remove each other follow one another.
    """
    there = Identity.objects.select_for_update().filter(is_superuser=True, frozen=False).order_by("pk")
    if [row.pk for row in there] == [identity.pk]:
        raise Conflict(f"{identity.login!r} is the last administrator; make another one first.")
