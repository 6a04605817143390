"""Admin pages of retention: how long history is kept, and what has gone."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest

from attune_project.console.models import RetentionConfig, RetentionCount
from attune_project.console.retention.limits import current
from attune_project.identity.admin_access import RbacModelAdmin
from attune_project.identity.models import Identity


@admin.register(RetentionConfig)
class RetentionConfigAdmin(RbacModelAdmin):
    """One row; what is empty there is as the environment says."""

    resource = "retention"
    rights: ClassVar[Mapping[str, str]] = {
        "view": "read",
        "add": "update",
        "change": "update",
        "delete": "update",
    }
    list_display = ("__str__", "enabled", "runtime_days", "audit_days", "in_force", "updated")
    fields = ("enabled", "runtime_days", "audit_days", "in_force", "changed_by", "updated")
    readonly_fields = ("in_force", "changed_by", "updated")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_add_permission(request, obj) and not RetentionConfig.objects.exists()

    def save_model(self, request: HttpRequest, obj: RetentionConfig, form: Any, change: bool) -> None:
        assert isinstance(request.user, Identity)
        obj.pk, obj.changed_by = 1, request.user
        super().save_model(request, obj, form, change)

    @admin.display(description="in force")
    def in_force(self, row: RetentionConfig) -> str:
        limits = current()
        if not limits.enabled:
            return "everything is kept"
        return f"runtime: {limits.runtime_days} days, audit: {limits.audit_days} days"


@admin.register(RetentionCount)
class RetentionCountAdmin(RbacModelAdmin):
    resource = "retention"
    read_only = True
    list_display = ("name", "deleted", "updated")
    ordering = ("name",)
