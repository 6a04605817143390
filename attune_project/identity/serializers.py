"""Shapes of authentication and of identities."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from attune_project.rest.serializers import RowSerializer, Text, Trimmed

from .grants import ACTIONS, RESOURCES
from .models import Identity, PermissionSet
from .rbac import allowed
from .tokens import TokenPair


class Login(serializers.Serializer[Any]):
    login = Trimmed(max_length=255)
    # Hashing takes as long as its text is: nothing that could be right is longer.
    password = Text(max_length=1024, trim_whitespace=False)


class SelfRegistration(serializers.Serializer[Any]):
    """Length is the only rule of passwords."""

    login = Trimmed(min_length=3, max_length=255)
    password = Text(min_length=8, max_length=128, trim_whitespace=False)
    display_name = Text(required=False, allow_null=True, max_length=255)


class Refresh(serializers.Serializer[Any]):
    refresh_token = Text(max_length=8192)


class UserOfTokens(RowSerializer):
    class Meta:
        model = Identity
        fields = ("id", "login", "display_name")


class Tokens(serializers.Serializer[TokenPair]):
    access_token = serializers.CharField(source="access")
    refresh_token = serializers.CharField(source="refresh")
    token_type = serializers.SerializerMethodField()
    expires_in = serializers.IntegerField()
    user = UserOfTokens(source="identity")

    def get_token_type(self, pair: TokenPair) -> str:
        return "Bearer"


class EffectivePermission(serializers.Serializer[Any]):
    resource = serializers.CharField()
    actions = serializers.ListField(child=serializers.CharField())


class Me(RowSerializer):
    auth_provider = serializers.SerializerMethodField()
    is_local = serializers.SerializerMethodField()
    can_change_password = serializers.SerializerMethodField()
    effective_permissions = serializers.SerializerMethodField()
    assigned_permission_set_refs = serializers.SerializerMethodField()

    class Meta:
        model = Identity
        fields = (
            "id",
            "login",
            "display_name",
            "auth_provider",
            "is_local",
            "can_change_password",
            "effective_permissions",
            "assigned_permission_set_refs",
        )

    def get_auth_provider(self, identity: Identity) -> str:
        return "local" if identity.run is None else "execution"

    def get_is_local(self, identity: Identity) -> bool:
        return identity.run is None

    def get_can_change_password(self, identity: Identity) -> bool:
        return identity.run is None and identity.has_usable_password()

    def to_representation(self, identity: Identity) -> dict[str, Any]:
        """Name the execution whose token was sent; a person's has none."""
        shown: dict[str, Any] = super().to_representation(identity)
        return {**shown, "execution": identity.run.execution_id} if identity.run else shown

    @extend_schema_field(EffectivePermission(many=True))
    def get_effective_permissions(self, identity: Identity) -> list[dict[str, Any]]:
        return effective_permissions(identity)

    @extend_schema_field({"type": "array", "items": {"type": "string"}})
    def get_assigned_permission_set_refs(self, identity: Identity) -> list[str]:
        if identity.run:
            return sorted(identity.run.permission_set_refs)
        sets = PermissionSet.objects.filter(assignments__identity=identity)
        return list(sets.order_by("ref").values_list("ref", flat=True))


class MyChanges(RowSerializer):
    class Meta:
        model = Identity
        fields = ("display_name",)


def effective_permissions(identity: Identity) -> list[dict[str, Any]]:
    """Return, per resource, every action that some grant allows on some row."""
    found = []
    for resource in RESOURCES:
        actions = [action for action in ACTIONS if allowed(identity, resource, action)]
        if actions:
            found.append({"resource": resource, "actions": actions})
    return found
