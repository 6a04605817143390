"""Routes of identities, permission sets and assignments."""

from typing import Any

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from attune_project.rest.changes import put_changes
from attune_project.rest.filters import Flag, RowFilters, Search, Texts
from attune_project.rest.views import (
    Catalogue,
    Listed,
    RowViewSet,
    View,
    answer,
    as_map,
    deleted,
    row_id,
    writable_nulls,
)

from .giving import require_another_administrator, require_giveable, require_role, require_within_reach
from .identity_serializers import (
    Assignment,
    IdentityBody,
    IdentityDetail,
    IdentityItem,
    IdentityRole,
    NewAssignment,
    PermissionSetBody,
    PermissionSetRole,
    PermissionSetShape,
)
from .models import (
    Identity,
    IdentityRoleAssignment,
    PermissionAssignment,
    PermissionSet,
    PermissionSetRoleAssignment,
)


class IdentityFilters(RowFilters):
    login = Texts("login")
    frozen = Flag("frozen")
    search = Search(columns=("login", "display_name", "email"))


class IdentityViews(Catalogue):
    queryset = Identity.objects.prefetch_related("roles", "permission_assignments__permset")
    resource = "identities"
    permission_map = {"freeze": "update", "unfreeze": "update"}
    lookup_field = "id"
    serializer_class = IdentityDetail
    list_serializer_class = IdentityItem
    write_serializer_class = IdentityBody
    filterset_class = IdentityFilters
    ordering_fields = ("login", "created", "id")

    def change(self, row: Identity, serializer: BaseSerializer[Any]) -> Any:
        require_within_reach(self.request.user, row, "update")
        return serializer.save()

    def remove(self, row: Identity) -> None:
        require_within_reach(self.request.user, row, "delete")
        require_another_administrator(row)
        row.delete()

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def freeze(self, request: Request, **path: str) -> Response:
        return self._set_frozen(True)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def unfreeze(self, request: Request, **path: str) -> Response:
        return self._set_frozen(False)

    def _set_frozen(self, frozen: bool) -> Response:
        identity = self.get_object()
        require_within_reach(self.request.user, identity, "update")
        with transaction.atomic():
            if frozen:
                require_another_administrator(identity)
            identity.frozen = frozen
            identity.save(update_fields=["frozen"])
        return self.show(identity)


class PermissionsOfIdentity(View):
    """The assignments of an identity, as a bare array."""

    resource = "permissions"
    permission_map = {"get": "read"}
    enveloped = False

    @extend_schema(responses=Assignment(many=True), operation_id="identity_permissions")
    def get(self, request: Request, id: str) -> Response:
        assignments = existing(Identity, id).permission_assignments.select_related("permset").order_by("id")
        return Response(Assignment(assignments, many=True).data)


class RolesOfIdentity(View):
    resource = "permissions"
    permission_map = {"post": "manage"}

    @extend_schema(request=IdentityRole, responses={201: IdentityRole}, operation_id="identity_role_add")
    def post(self, request: Request, id: str) -> Response:
        body = IdentityRole(data=request.data)
        identity = existing(Identity, id)
        body.is_valid(raise_exception=True)
        require_role(request.user, body.validated_data["role"])
        return answer(IdentityRole(body.save(identity=identity)).data, status=201)


class RoleOfIdentity(View):
    resource = "permissions"
    permission_map = {"delete": "manage"}

    @extend_schema(request=None, responses=None, operation_id="identity_role_remove")
    def delete(self, request: Request, id: str) -> Response:
        return delete_one(existing(IdentityRoleAssignment, id))


class PermissionSetFilters(RowFilters):
    pack_ref = Texts("pack_ref")


class PermissionSetViews(Listed, RowViewSet):
    """Sets come with packs; their rights can be changed here until the pack is loaded again."""

    queryset = PermissionSet.objects.prefetch_related("roles")
    resource = "permissions"
    permission_map = {"update": "manage"}
    lookup_field = "id"
    serializer_class = PermissionSetShape
    write_serializer_class = PermissionSetBody
    filterset_class = PermissionSetFilters
    ordering_fields = ("ref", "created", "id")

    def update(self, request: Request, **path: str) -> Response:
        permset = self.get_object()
        body = PermissionSetBody(
            permset, data=put_changes(as_map(request.data), writable_nulls(PermissionSetBody())), partial=True
        )
        body.is_valid(raise_exception=True)
        require_giveable(request.user, body.validated_data.get("grants", []))
        return self.show(body.save())


class RolesOfPermissionSet(View):
    resource = "permissions"
    permission_map = {"post": "manage"}

    @extend_schema(request=PermissionSetRole, responses={201: PermissionSetRole}, operation_id="set_role_add")
    def post(self, request: Request, id: str) -> Response:
        body = PermissionSetRole(data=request.data)
        permset = existing(PermissionSet, id)
        body.is_valid(raise_exception=True)
        require_giveable(request.user, permset.grants)
        return answer(PermissionSetRole(body.save(permset=permset)).data, status=201)


class RoleOfPermissionSet(View):
    resource = "permissions"
    permission_map = {"delete": "manage"}

    @extend_schema(request=None, responses=None, operation_id="set_role_remove")
    def delete(self, request: Request, id: str) -> Response:
        return delete_one(existing(PermissionSetRoleAssignment, id))


class AssignmentsView(View):
    resource = "permissions"
    permission_map = {"post": "manage"}

    @extend_schema(request=NewAssignment, responses={201: Assignment}, operation_id="assignment_add")
    def post(self, request: Request) -> Response:
        body = NewAssignment(data=request.data)
        body.is_valid(raise_exception=True)
        values: dict[str, Any] = body.validated_data
        permset = found(PermissionSet, ref=values["permission_set_ref"])
        by_id = "identity_id" in values
        identity = found(
            Identity, **({"pk": values["identity_id"]} if by_id else {"login": values["identity_login"]})
        )
        require_giveable(request.user, permset.grants)
        assignment = PermissionAssignment.objects.create(identity=identity, permset=permset)
        return answer(Assignment(assignment).data, status=201)


class AssignmentView(View):
    resource = "permissions"
    permission_map = {"delete": "manage"}

    @extend_schema(request=None, responses=None, operation_id="assignment_remove")
    def delete(self, request: Request, id: str) -> Response:
        return delete_one(existing(PermissionAssignment, id))


def existing(model: Any, id: str) -> Any:
    """Return the row of a path's id, or 404."""
    return found(model, pk=row_id(id))


def found(model: Any, **lookup: Any) -> Any:
    row = model.objects.filter(**lookup).first()
    if row is None:
        raise NotFound(f"No such {model._meta.verbose_name}.")
    return row


def delete_one(row: Any) -> Response:
    response = deleted(row)
    row.delete()
    return response
