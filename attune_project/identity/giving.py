"""Giving rights to others: no one hands out more than they have."""

from typing import Any

from rest_framework.exceptions import PermissionDenied

from attune_project.rest.errors import Unprocessable

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
    if not isinstance(caller, Identity) or (identity.is_superuser and not caller.is_superuser):
        return False
    return caller.pk == identity.pk or holds(caller, grants_of(identity))


def require_within_reach(caller: Caller, identity: Identity, action: str) -> None:
    if not within_reach(caller, identity):
        raise PermissionDenied(f"Permission denied: identities:{action}")
