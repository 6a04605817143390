"""Named rights, and who holds them."""

from typing import ClassVar

from django.db import models

from attune_project.rows import Row

from .identity import Identity


class PermissionSet(Row):
    """Rights under a name; `grants` is a list of `{resource, actions[], constraints?}` (see identity/grants.py)."""

    ref = models.CharField(max_length=255, unique=True)
    pack_ref = models.CharField(max_length=255, null=True, blank=True)
    label = models.CharField(max_length=255, null=True, blank=True)
    description = models.TextField(null=True, blank=True)
    grants = models.JSONField(default=list, blank=True)

    class Meta:
        db_table = "permission_set"

    def __str__(self) -> str:
        return self.ref


class PermissionAssignment(Row):
    identity = models.ForeignKey(Identity, models.CASCADE, related_name="permission_assignments")
    permset = models.ForeignKey(PermissionSet, models.CASCADE, related_name="assignments")

    class Meta:
        db_table = "permission_assignment"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["identity", "permset"], name="permission_assignment_once")
        ]

    def __str__(self) -> str:
        return f"{self.identity_id} has {self.permset_id}"
