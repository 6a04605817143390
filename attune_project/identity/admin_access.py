"""Admin pages that ask the same RBAC as the API.

A ModelAdmin names its `resource`; `rights` says which of RBAC's actions a page's action needs. `read_only` is
for history: nobody adds, changes or deletes. What the caller may not read isn't in any list.
"""

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from django.core.exceptions import BadRequest
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin, TabularInline

from attune_project.rest.paging import total_of

from .rbac import allowed, visible

RIGHTS: Mapping[str, str] = {"view": "read", "add": "create", "change": "update", "delete": "delete"}
MANAGED: Mapping[str, str] = {"view": "read", "add": "manage", "change": "manage", "delete": "manage"}


class CheapPaginator(Paginator):
    """Counts as the API does: exact up to 10,000 rows, then the planner's estimate."""

    @cached_property
    def count(self) -> int:
        return total_of(self.object_list)[0]  # type: ignore[arg-type]


class RbacPermissions:
    """Answers Django's questions about permissions by RBAC."""

    resource: ClassVar[str]
    rights: ClassVar[Mapping[str, str]] = RIGHTS
    read_only: ClassVar[bool] = False

    def may(self, request: HttpRequest, what: str, row: Model | None = None) -> bool:
        if self.read_only and what != "view":
            return False
        return allowed(request.user, self.resource, self.rights[what], row)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "view")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, "view", obj)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, "add")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, "change", obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, "delete", obj)


class RbacModelAdmin(RbacPermissions, ModelAdmin):  # type: ignore[misc]
    """Base of every ModelAdmin. Name `list_select_related`, so that no row costs a query."""

    paginator = CheapPaginator
    show_full_result_count = False
    list_per_page = 50
    list_max_show_all = 200

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return visible(request.user, self.resource, super().get_queryset(request))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """Refuse NUL characters in filters: PostgreSQL can't even compare with them."""
        if any("\x00" in value for values in request.GET.lists() for value in values[1]):
            raise BadRequest("NUL characters are not allowed")
        return super().changelist_view(request, extra_context)


class RbacInline(RbacPermissions, TabularInline):  # type: ignore[misc]
    """Rows on the page of their parent, which has asked for itself."""

    extra = 0

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, "view")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, "change")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, "delete")


def pretty_json(value: Any) -> SafeString:
    """Show a JSON value indented and escaped."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    return format_html('<pre class="whitespace-pre-wrap">{}</pre>', text)


def row_link(model: type[Model], pk: Any, text: Any = None) -> SafeString | str:
    """Link to a row's admin page by its id alone, without reading it; a dash when there is none."""
    if pk is None:
        return "-"
    meta = model._meta
    url = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[pk])
    return format_html('<a class="text-primary-600" href="{}">{}</a>', url, pk if text is None else text)
