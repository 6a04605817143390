"""Roles: names that join identities to permission sets."""

from django.db import models

from attune_project.rows import Row

from .identity import Identity
from .permission_set import PermissionSet


class RoleAssignment(Row):
    role = models.CharField(max_length=255)
    source = models.CharField(max_length=255, default="manual")
    managed = models.BooleanField(default=False, help_text="Kept by its source, not by hand.")

    class Meta(Row.Meta):
        abstract = True

    def __str__(self) -> str:
        return self.role


class IdentityRoleAssignment(RoleAssignment):
    identity = models.ForeignKey(Identity, models.CASCADE, related_name="roles")

    class Meta(Row.Meta):
        db_table = "identity_role_assignment"
        constraints = [models.UniqueConstraint(fields=["identity", "role"], name="identity_role_once")]


class PermissionSetRoleAssignment(RoleAssignment):
    permset = models.ForeignKey(PermissionSet, models.CASCADE, related_name="roles")

    class Meta(Row.Meta):
        db_table = "permission_set_role_assignment"
        constraints = [models.UniqueConstraint(fields=["permset", "role"], name="permission_set_role_once")]
        indexes = [
            # Rights of an identity: the sets of its roles.
            models.Index(fields=["role"], name="permission_set_role_by_role")
        ]
