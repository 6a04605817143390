"""Shapes of identities, of permission sets, and of who holds them."""

from typing import Any

from rest_framework import serializers

from attune_project.rest.serializers import Map, RowSerializer, Text, Trimmed

from .models import (
    Identity,
    IdentityRoleAssignment,
    PermissionAssignment,
    PermissionSet,
    PermissionSetRoleAssignment,
)

COLUMNS = (
    "id", "login", "display_name", "email", "attributes", "frozen", "is_active", "is_staff", "is_superuser",
    "last_login", "created", "updated",
)  # fmt: skip


class IdentityRole(RowSerializer):
    identity_id = serializers.IntegerField(read_only=True)

    class Meta:
        model = IdentityRoleAssignment
        fields = ("id", "identity_id", "role", "source", "managed")
        read_only_fields = ("source", "managed")


class PermissionSetRole(RowSerializer):
    permission_set_id = serializers.IntegerField(source="permset_id", read_only=True)

    class Meta:
        model = PermissionSetRoleAssignment
        fields = ("id", "permission_set_id", "role", "source", "managed")
        read_only_fields = ("source", "managed")


class Assignment(RowSerializer):
    identity_id = serializers.IntegerField(read_only=True)
    permission_set_id = serializers.IntegerField(source="permset_id", read_only=True)
    permission_set_ref = serializers.CharField(source="permset.ref", read_only=True)

    class Meta:
        model = PermissionAssignment
        fields = ("id", "identity_id", "permission_set_id", "permission_set_ref", "created")


class NewAssignment(serializers.Serializer[Any]):
    """One of the two says whose it shall be."""

    identity_id = serializers.IntegerField(required=False, min_value=1, max_value=2**63 - 1)
    identity_login = Text(required=False)
    permission_set_ref = Text()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "identity_id" not in attrs and "identity_login" not in attrs:
            raise serializers.ValidationError({"identity_id": ["This or identity_login is required."]})
        return attrs


class IdentityDetail(RowSerializer):
    is_active = serializers.SerializerMethodField()
    roles: Any = IdentityRole(many=True, read_only=True)
    direct_permissions = Assignment(source="permission_assignments", many=True, read_only=True)

    class Meta:
        model = Identity
        fields = (*COLUMNS, "roles", "direct_permissions")

    def get_is_active(self, identity: Identity) -> bool:
        """Say what the database will: a row that was just changed has its old generated value."""
        return not identity.frozen


class IdentityItem(IdentityDetail):
    roles: Any = serializers.SlugRelatedField(slug_field="role", many=True, read_only=True)

    class Meta:
        model = Identity
        fields = (*COLUMNS, "roles")


class IdentityBody(RowSerializer):
    login = Trimmed(max_length=255)
    attributes = Map(required=False)
    password = Text(
        required=False, allow_null=True, write_only=True, min_length=8, max_length=128, trim_whitespace=False
    )

    class Meta:
        model = Identity
        fields = ("login", "display_name", "email", "attributes", "password")

    def create(self, validated_data: dict[str, Any]) -> Identity:
        return Identity.objects.create_user(**validated_data)

    def update(self, instance: Identity, validated_data: dict[str, Any]) -> Identity:
        if "password" in validated_data:
            instance.set_password(validated_data.pop("password"))
        changed: Identity = super().update(instance, validated_data)
        return changed


class PermissionSetShape(RowSerializer):
    roles = PermissionSetRole(many=True, read_only=True)

    class Meta:
        model = PermissionSet
        fields = (
            "id", "ref", "pack", "pack_ref", "label", "description", "grants", "roles", "created", "updated",
        )  # fmt: skip


class PermissionSetBody(RowSerializer):
    class Meta:
        model = PermissionSet
        fields = ("label", "description", "grants")
