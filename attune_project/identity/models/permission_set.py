"""Named rights, and who holds them."""

from django.db import models

from attune_project.rows import Row

from .identity import Identity


class PermissionSet(Row):
    """Rights under a name; `grants` is a list of `{resource, actions[], constraints?}`, see grants.py."""

    ref = models.CharField(max_length=255)
    pack = models.ForeignKey(
        "packs.Pack", models.CASCADE, null=True, blank=True, related_name="permission_sets"
    )
    pack_ref = models.CharField(max_length=255, null=True, blank=True)
    label = models.CharField(max_length=255, null=True, blank=True)
    description = models.TextField(null=True, blank=True)
    grants = models.JSONField(default=list, blank=True)

    class Meta(Row.Meta):
        db_table = "permission_set"
        constraints = [models.UniqueConstraint(fields=["ref"], name="permission_set_ref_key")]

    def __str__(self) -> str:
        return self.ref


class PermissionAssignment(Row):
    identity = models.ForeignKey(Identity, models.CASCADE, related_name="permission_assignments")
    permset = models.ForeignKey(PermissionSet, models.CASCADE, related_name="assignments")

    class Meta(Row.Meta):
        db_table = "permission_assignment"
        constraints = [
            models.UniqueConstraint(fields=["identity", "permset"], name="permission_assignment_once")
        ]

    def __str__(self) -> str:
        return f"{self.identity_id} has {self.permset_id}"
