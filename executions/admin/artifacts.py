"""Admin pages of artifacts: what actions left, with links to their contents."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.safestring import SafeString
from unfold.decorators import action

from attune_project.identity.admin_access import RbacInline
from attune_project.identity.admin_history import Created, HistoryAdmin, link, pretty
from attune_project.identity.admin_pages import address_link, ask
from attune_project.identity.rbac import allowed
from executions.artifacts import retention
from executions.models import Artifact, ArtifactVersion

MOST_AT_ONCE = 500


@admin.display(description="size")
def size(self: Any, row: Any) -> str:
    return "-" if row.size_bytes is None else filesizeformat(row.size_bytes)


class VersionInline(RbacInline):
    model = ArtifactVersion
    resource = "artifacts"
    read_only = True
    fields = ("version", "content_type", "size", "sha256", "created_by", "created", "expires_at", "download")
    readonly_fields = fields
    ordering = ("-version",)
    show_change_link = False

    size = size

    @admin.display(description="download")
    def download(self, row: ArtifactVersion) -> SafeString:
        return address_link(
            f"/api/v1/artifacts/{row.artifact_id}/versions/{row.version}/download", "download"
        )


@admin.register(Artifact)
class ArtifactAdmin(HistoryAdmin):
    resource = "artifacts"
    list_display = (
        "ref", "name", "type", "size", "visibility", "owner", "execution_link", "created", "download",
    )  # fmt: skip
    list_filter = (Created, "type", "visibility", "scope")
    search_ref = "ref"
    inlines = (VersionInline,)
    actions = ("remove",)
    actions_detail = ("remove_one",)
    fields = (
        "ref", "name", "description", "type", "content_type", "size", "download", "value", "visibility",
        "scope", "owner", "owner_identity_link", "pack_ref", "execution_link", "retention_policy",
        "retention_limit", "expires_at", "last_version", "created", "updated",
    )  # fmt: skip
    readonly_fields = fields

    size = size
    value = pretty("data")
    execution_link = link("execution")
    owner_identity_link = link("owner_identity")

    @admin.display(description="download")
    def download(self, row: Artifact) -> SafeString | str:
        has_content = row.last_version > 0 or row.type in ("other", "url", "progress")
        return address_link(f"/api/v1/artifacts/{row.pk}/download", "download") if has_content else "-"

    def has_remove_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return allowed(request.user, "artifacts", "delete")

    @admin.action(description="Delete selected artifacts", permissions=["remove"])
    def remove(self, request: HttpRequest, queryset: QuerySet[Artifact]) -> None:
        delete(request, list(queryset.order_by("pk")[:MOST_AT_ONCE]))

    @action(description="Delete", url_path="remove", permissions=["remove"])  # type: ignore[untyped-decorator]
    def remove_one(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        row = self.get_object(request, object_id)
        if row is None:
            gone: HttpResponseBase = self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
            return gone
        if request.method == "POST":
            delete(request, [row])
            return HttpResponseRedirect(reverse("admin:executions_artifact_changelist"))
        text = f"{row.ref} is deleted with all its versions and their contents."
        return ask(
            self, request, title="Delete an artifact", text=text, form=forms.Form(), button="Delete it"
        )


def delete(request: HttpRequest, rows: list[Artifact]) -> None:
    """Delete artifacts, as far as the caller may; Django's own page would read all their contents first."""
    mine = [row.pk for row in rows if allowed(request.user, "artifacts", "delete", row)]
    with transaction.atomic():
        retention.delete_artifacts(mine)
    messages.success(request, f"{len(mine)} artifacts deleted.")
    if len(mine) < len(rows):
        messages.error(request, "Permission denied: artifacts:delete")
