"""Admin pages of identities and their rights."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group
from django.db.models import ForeignKey
from django.http import HttpRequest
from unfold.forms import AdminPasswordChangeForm

from .admin_access import MANAGED, RbacInline, RbacModelAdmin
from .admin_forms import ChangedIdentity, NewIdentity, PermissionSetForm
from .giving import within_reach
from .grants import readable
from .keys import admin as key_pages  # noqa: F401 (Django looks for pages in this module)
from .models import (
    Identity,
    IdentityRoleAssignment,
    PermissionAssignment,
    PermissionSet,
    PermissionSetRoleAssignment,
    RateCounter,
    RefreshToken,
)
from .rbac import holds

# Rights come from permission sets; Django's groups would be a second, silent way.
admin.site.unregister(Group)


class AssignmentInline(RbacInline):
    model = PermissionAssignment
    resource = "permissions"
    rights = MANAGED
    verbose_name_plural = "permission sets"

    def formfield_for_foreignkey(
        self, db_field: ForeignKey[Any, Any], request: HttpRequest, **options: Any
    ) -> Any:
        """Offer only sets whose every grant the caller holds: no one gives more than they have."""
        if db_field.name == "permset":
            held = [
                one.pk for one in PermissionSet.objects.all() if holds(request.user, readable(one.grants))
            ]
            options["label"] = "Permission set"
            options["queryset"] = PermissionSet.objects.filter(pk__in=held)
        return super().formfield_for_foreignkey(db_field, request, **options)


class RoleInline(RbacInline):
    """Roles bring whole sets with them: only the first administrator joins them by hand."""

    resource = "permissions"
    rights = MANAGED
    fields = ("role", "source", "managed")
    readonly_fields = ("source", "managed")

    def may(self, request: HttpRequest, what: str, row: Any = None) -> bool:
        return super().may(request, what, row) and (what == "view" or bool(request.user.is_superuser))


class IdentityRoleInline(RoleInline):
    model = IdentityRoleAssignment


class PermissionSetRoleInline(RoleInline):
    model = PermissionSetRoleAssignment


@admin.register(Identity)
class IdentityAdmin(RbacModelAdmin, UserAdmin):  # type: ignore[misc]
    resource = "identities"
    form = ChangedIdentity
    add_form = NewIdentity
    change_password_form = AdminPasswordChangeForm
    inlines = (AssignmentInline, IdentityRoleInline)
    list_display = ("login", "display_name", "frozen", "is_staff", "is_superuser", "last_login", "created")
    list_filter = ("frozen", "is_staff", "is_superuser")
    search_fields = ("login", "display_name", "email")
    ordering = ("-created", "-id")
    filter_horizontal = ()
    readonly_fields = ("last_login", "created", "updated")
    fieldsets = (
        (None, {"fields": ("login", "password", "display_name", "email", "attributes")}),
        ("Access", {"fields": ("frozen", "is_staff", "is_superuser")}),
        ("Times", {"fields": ("last_login", "created", "updated")}),
    )
    add_fieldsets = (
        (None, {"fields": ("login", "display_name", "usable_password", "password1", "password2")}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Let only the first administrator make others like it."""
        extra = () if request.user.is_superuser else ("is_staff", "is_superuser")
        return (*self.readonly_fields, *extra)

    def may(self, request: HttpRequest, what: str, row: Any = None) -> bool:
        """Keep hands, and the password form, off those who have rights that the caller lacks."""
        if what != "view" and row is not None and not within_reach(request.user, row):
            return False
        return super().may(request, what, row)


@admin.register(PermissionSet)
class PermissionSetAdmin(RbacModelAdmin):
    resource = "permissions"
    rights = MANAGED
    form = PermissionSetForm
    inlines = (PermissionSetRoleInline,)
    list_display = ("ref", "label", "pack_ref", "updated")
    list_filter = ("pack_ref",)
    search_fields = ("ref", "label")
    ordering = ("ref",)
    readonly_fields = ("pack_ref", "created", "updated")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:
        form = super().get_form(request, obj, change, **options)
        return type(form.__name__, (form,), {"caller": request.user})


@admin.register(RefreshToken)
class RefreshTokenAdmin(RbacModelAdmin):
    resource = "identities"
    read_only = True
    list_display = ("jti", "identity", "created", "expires_at", "rotated_at", "revoked_at")
    list_select_related = ("identity",)
    search_fields = ("identity__login",)


@admin.register(RateCounter)
class RateCounterAdmin(RbacModelAdmin):
    """Who tried too often. Deleting a row lets them try again."""

    resource = "identities"
    list_display = ("key", "tries", "started_at")
    search_fields = ("key",)

    def may(self, request: HttpRequest, what: str, row: Any = None) -> bool:
        return what in ("view", "delete") and super().may(request, what, row)
