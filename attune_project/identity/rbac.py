"""What an identity may do: deny by default, grants are OR-ed, the constraints of one grant are AND-ed.

`visible` judges in SQL, for lists; `allowed` in Python, for one row.
"""

from collections.abc import Iterable
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any, TypeVar, cast

from django.contrib.auth.models import AnonymousUser
from django.db.models import Model, Q, QuerySet
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.filters import BaseFilterBackend
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from attune_project.rest.access import AUTHENTICATED, OPEN

from .constraints import condition_of, fits, is_unbounded
from .grants import BASE_GRANTS, Grant, readable
from .models import Identity, IdentityRoleAssignment, PermissionSet
from .resources import columns_of
from .runs import Run

if TYPE_CHECKING:  # views load this module by the names in settings, before they are complete
    from rest_framework.views import APIView

Caller = Identity | AnonymousUser | None
M = TypeVar("M", bound=Model)
VIEW_ACTIONS = {
    "list": "read",
    "retrieve": "read",
    "create": "create",
    "update": "update",
    "partial_update": "update",
    "destroy": "delete",
}


def grants_of(identity: Identity) -> tuple[Grant, ...]:
    """Return the grants of a request, read once for it: the identity's, or those lent to the run it is of."""
    cached: tuple[Grant, ...] | None = identity.__dict__.get("_grants")
    if cached is None:
        cached = _own_grants(identity) if identity.run is None else _lent_grants(identity, identity.run)
        identity.__dict__["_grants"] = cached
    return cached


def _own_grants(identity: Identity) -> tuple[Grant, ...]:
    """Return the grants of its direct sets, of the sets of its roles, and everybody's."""
    roles = IdentityRoleAssignment.objects.filter(identity=identity).values("role")
    sets = PermissionSet.objects.filter(
        Q(assignments__identity=identity) | Q(roles__role__in=roles)
    ).distinct()
    own = [grant for raw in sets.order_by().values_list("grants", flat=True) for grant in readable(raw)]
    return (*BASE_GRANTS, *own)


def _lent_grants(identity: Identity, run: Run) -> tuple[Grant, ...]:
    """Return what the run was lent, as far as the identity could still lend it: nothing comes by itself."""
    return tuple(grant for grants in lendable(identity, run.permission_set_refs).values() for grant in grants)


def lendable(identity: Identity, refs: Iterable[str]) -> dict[str, list[Grant]]:
    """Return the grants, by ref, of those permission sets that the identity itself holds."""
    sets = PermissionSet.objects.filter(ref__in=list(refs)).order_by("ref").values_list("ref", "grants")
    named = {ref: readable(raw) for ref, raw in sets}
    own = () if identity.is_superuser or not named else _own_grants(identity)
    return {ref: grants for ref, grants in named.items() if identity.is_superuser or _all_within(own, grants)}


def allowed(identity: Caller, resource: str, action: str, row: Model | None = None) -> bool:
    """Tell whether the identity may do this to the row; without a row, to any row at all."""
    if not isinstance(identity, Identity) or identity.frozen:
        return False
    if identity.has_every_right:
        return True
    grants = [grant for grant in grants_of(identity) if grant.covers(resource, action)]
    if row is None:
        return bool(grants)
    columns = columns_of(resource, action)
    return any(fits(grant, columns, identity, row) for grant in grants)


def holds(identity: Caller, grants: Iterable[Grant]) -> bool:
    """Tell whether the identity could give these grants away: no one hands out more than they have."""
    if not isinstance(identity, Identity) or identity.frozen:
        return False
    return identity.has_every_right or _all_within(grants_of(identity), grants)


def _all_within(own: Iterable[Grant], grants: Iterable[Grant]) -> bool:
    return all(
        any(_contains(one, grant, action) for one in own) for grant in grants for action in grant.actions
    )


def _contains(own: Grant, grant: Grant, action: str) -> bool:
    """Compare cautiously: constraints must be the same unless the own grant has none but `owner: any`."""
    wide_enough = own.constraints in ({"owner": "any"}, grant.constraints)
    return wide_enough and own.covers(grant.resource, action)


def visible(identity: Caller, resource: str, queryset: QuerySet[M], action: str = "read") -> QuerySet[M]:
    """Return the rows of the queryset that the identity may read (or `action`)."""
    if not isinstance(identity, Identity) or identity.frozen:
        return queryset.none()
    if identity.has_every_right:
        return queryset
    grants = [grant for grant in grants_of(identity) if grant.covers(resource, action)]
    columns = columns_of(resource, action)
    if any(is_unbounded(grant, columns) for grant in grants):
        return queryset
    conditions = [found for grant in grants if (found := condition_of(grant, columns, identity)) is not None]
    return queryset.filter(reduce(or_, conditions)) if conditions else queryset.none()


def require(identity: Caller, resource: str, action: str, row: Model | None = None) -> None:
    """Raise 403 with the contract's text unless allowed."""
    if not allowed(identity, resource, action, row):
        raise PermissionDenied(f"Permission denied: {resource}:{action}")


def visible_or_404(identity: Caller, resource: str, queryset: QuerySet[M], **lookup: Any) -> M:
    """Return the one row that the caller may read; absent and hidden are the same 404."""
    row = visible(identity, resource, queryset.filter(**lookup)).first()
    if row is None:
        raise NotFound("Not found.")
    return row


class Granted(BasePermission):
    """Ask the grants for every view: no declaration means nobody.

    Lists and creations are judged here. For one row the view shows a hidden row as absent (404), and then
    this class judges the action on the row (403).
    """

    def has_permission(self, request: Request, view: "APIView") -> bool:
        if getattr(view, "permission", None) is OPEN:
            return True
        if not isinstance(request.user, Identity) or request.user.frozen:
            return False
        if getattr(view, "permission", None) is AUTHENTICATED:
            return True
        return self._may(request, view)

    def has_object_permission(self, request: Request, view: "APIView", row: Any) -> bool:
        resource, action = needed(request, view)
        if resource:
            require(request.user, resource, action, row)
        return True

    def _may(self, request: Request, view: "APIView") -> bool:
        resource, action = needed(request, view)
        if not resource or not action:
            return answers_without_a_row(request, view)
        if not getattr(view, "detail", False):
            require(request.user, resource, action)
            return True
        require(request.user, resource, "read")
        if not allowed(request.user, resource, action):
            view.get_object()  # type: ignore[attr-defined]  # raises 404 when hidden, 403 when seen
            return False
        return True


def needed(request: Request, view: "APIView") -> tuple[str, str]:
    """Return the resource and the action of RBAC that a request to a view needs; empty when undeclared."""
    method = str(request.method).lower()
    name = getattr(view, "action", None) or ("get" if method == "head" else method)
    declared = getattr(view, "permission_map", {})
    return getattr(view, "resource", ""), declared.get(name) or VIEW_ACTIONS.get(name, "")


def answers_without_a_row(request: Request, view: "APIView") -> bool:
    """Let any identity have its 405 or its OPTIONS; a declared method without a right stays closed."""
    method = str(request.method).lower()
    return method == "options" or not hasattr(view, method)


class VisibleRows(BaseFilterBackend):
    """Leave out of lists and look-ups what the caller may not read."""

    hides_rows = True

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: "APIView") -> QuerySet[Any]:
        if getattr(view, "permission", None) in (OPEN, AUTHENTICATED):
            return queryset
        return visible(cast(Identity, request.user), view.resource, queryset)  # type: ignore[attr-defined]
