"""The admin page of keys: whose they are and where they go, never what they hold."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from attune_project.identity.admin_access import RbacModelAdmin
from attune_project.identity.models import Key


@admin.register(Key)
class KeyAdmin(RbacModelAdmin):
    """Keys are made and changed over the API: a page would send a value back to whoever opens it."""

    resource = "keys"
    list_display = ("ref", "name", "owner_type", "owner", "encrypted", "updated")
    list_filter = ("owner_type", "encrypted")
    search_fields = ("ref", "name", "owner")
    fields = ("ref", "name", "owner_type", "owner", "encrypted", "encryption_key_hash", "created", "updated")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("value")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
