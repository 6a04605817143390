"""Admin pages of packs, runtimes and workers."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from attune_project.identity.admin_access import RbacModelAdmin, pretty_json, row_link

from . import admin_workers  # noqa: F401 (Django looks for pages in this module)
from .config import redacted
from .models import Pack, Runtime


@admin.register(Pack)
class PackAdmin(RbacModelAdmin):
    """Packs come by the loader and the API; a person changes what the loader leaves to persons."""

    resource = "packs"
    rights: ClassVar[Mapping[str, str]] = {"view": "read", "change": "configure"}
    list_display = ("ref", "label", "version", "is_standard", "tags", "owner", "updated")
    list_filter = ("is_standard",)
    list_select_related = ("owner",)
    search_fields = ("ref", "label")
    fields = (
        "ref", "label", "description", "version", "tags", "is_standard", "owner_link", "settings",
        "settings_schema", "more", "dependencies", "runtime_deps", "source_type", "source_url", "source_ref",
        "storage_path", "checksum", "created", "updated",
    )  # fmt: skip
    readonly_fields = tuple(name for name in fields if name not in ("label", "description"))

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="owner")
    def owner_link(self, pack: Pack) -> SafeString | str:
        owner = pack.owner
        return row_link(type(owner), owner.pk, owner) if owner is not None else "-"

    @admin.display(description="config")
    def settings(self, pack: Pack) -> SafeString:
        return pretty_json(redacted(pack.config, pack.conf_schema))

    @admin.display(description="conf_schema")
    def settings_schema(self, pack: Pack) -> SafeString:
        return pretty_json(pack.conf_schema)

    @admin.display(description="meta")
    def more(self, pack: Pack) -> SafeString:
        return pretty_json(pack.meta)


@admin.register(Runtime)
class RuntimeAdmin(RbacModelAdmin):
    resource = "runtimes"
    read_only = True
    list_display = ("ref", "name", "aliases", "pack_ref", "updated")
    list_filter = ("pack_ref",)
    search_fields = ("ref", "name")
    fields = (
        "ref", "name", "aliases", "description", "pack_link", "distribution_map", "execution_map", "created",
        "updated",
    )  # fmt: skip
    readonly_fields = fields

    @admin.display(description="pack")
    def pack_link(self, runtime: Runtime) -> SafeString | str:
        return row_link(Pack, runtime.pack_id, runtime.pack_ref)

    @admin.display(description="distributions")
    def distribution_map(self, runtime: Runtime) -> SafeString:
        return pretty_json(runtime.distributions)

    @admin.display(description="execution_config")
    def execution_map(self, runtime: Runtime) -> SafeString:
        return pretty_json(runtime.execution_config)
