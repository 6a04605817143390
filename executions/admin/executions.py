"""Admin pages of executions: what became of each and why, its log, and what can be done about it."""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import action

from attune_project.identity.admin_access import RbacInline, row_link
from attune_project.identity.admin_history import (
    Created,
    HistoryAdmin,
    OfRef,
    is_list,
    json_block,
    link,
    pretty,
)
from attune_project.identity.admin_pages import address_link
from attune_project.identity.models import Identity
from attune_project.identity.rbac import allowed, visible
from attune_project.language.redaction import all_redacted, redacted
from executions.admin import acting
from executions.admin.attempts import AttemptInline
from executions.models import TERMINAL, Action, Artifact, Execution, Policy, Stream
from executions.policies.places import places

MOST_SHOWN = 50


def person(name: str) -> Callable[[Any, Any], SafeString | str]:
    """Return the display of an identity on one row's page: a link by its login, by its id if it is gone."""

    @admin.display(description=name.replace("_", " "))
    def show(self: Any, row: Any) -> SafeString | str:
        pk = getattr(row, f"{name}_id")
        login = Identity.objects.filter(pk=pk).values_list("login", flat=True).first() if pk else None
        return row_link(Identity, pk, login)

    return show


class OfAction(OfRef):
    title = "action"
    parameter_name = "action_ref"
    model = Action
    resource = "actions"


class ArtifactInline(RbacInline):
    model = Artifact
    resource = "artifacts"
    read_only = True
    fields = ("name", "type", "content_type", "size_bytes", "created", "download")
    readonly_fields = fields
    ordering = ("id",)
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return visible(request.user, "artifacts", super().get_queryset(request)).defer("data")

    @admin.display(description="download")
    def download(self, row: Artifact) -> SafeString | str:
        if not row.last_version:
            return "-"
        return address_link(f"/api/v1/artifacts/{row.pk}/download", "download")


@admin.register(Execution)
class ExecutionAdmin(HistoryAdmin):
    resource = "executions"
    list_display = (
        "id", "action_link", "status", "waits_for", "enforcement_link", "event_link", "rule_ref",
        "retry_count", "created", "finished_at",
    )  # fmt: skip
    list_display_links = ("id",)
    list_filter = (Created, "status", OfAction)
    list_select_related = ("enforcement",)
    search_ref = "action_ref"
    inlines = (AttemptInline, ArtifactInline)
    actions = ("cancel",)
    actions_detail = ("cancel_one", "run_again")
    fieldsets = (
        (None, {"fields": (
            "id", "action_link", "status", "waits_for", "progress_text", "result_map", "cancelled_by_link",
            "cancel_reason",
        )}),
        ("What was asked for", {"fields": (
            "parameters", "env", "executor_link", "permission_set_refs", "priority", "worker_pool",
            "selector",
        )}),
        ("Where it comes from", {"fields": (
            "event_link", "enforcement_link", "rule_ref", "trigger_ref", "parent_link", "children",
            "original_link", "rerun_reason", "reruns", "trace_id",
        )}),
        ("How it went", {"fields": (
            "worker_link", "policy_link", "policy_group", "retry_count", "max_retries", "retry_reason",
            "due_at", "created", "scheduled_at", "started_at", "finished_at", "settled_at", "updated",
        )}),
    )  # fmt: skip
    readonly_fields = tuple(name for _, group in fieldsets for name in group["fields"])
    LARGE_OF_ENFORCEMENT: ClassVar[tuple[str, ...]] = (
        "enforcement__config", "enforcement__conditions", "enforcement__payload",
    )  # fmt: skip

    action_link = link("action")
    parent_link = link("parent")
    original_link = link("original_execution")
    executor_link = person("executor")
    cancelled_by_link = person("cancelled_by")
    worker_link = link("worker")
    env = pretty("env_vars")
    selector = pretty("worker_selector")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request).select_related("enforcement").defer(*self.LARGE_OF_ENFORCEMENT)
        return rows.defer(*self._large()) if is_list(request) else rows

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Ask once for the places of all rows of the page."""
        listed = super().get_changelist_instance(request)
        listed.result_list = list(listed.result_list)
        found = places(listed.result_list)
        for row in listed.result_list:
            row.place = found.get(row.pk)
        return listed

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> Any:
        logs = [(name, f"/api/v1/executions/{object_id}/logs/{name}/stream") for name in Stream.values]
        context = {**(extra_context or {}), "logs": logs, "live_url": live_url(object_id)}
        return super().change_view(request, object_id, form_url, context)

    def has_cancel_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return allowed(request.user, "executions", "cancel")

    def has_rerun_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return allowed(request.user, "actions", "execute")

    @admin.display(description="reason")
    def waits_for(self, row: Any) -> str:
        """Say what it waits for, and at which place of its queue."""
        place = row.place if hasattr(row, "place") else places([row]).get(row.pk)
        return f"{row.status_reason} (place {place[0]} of {place[1]})" if place else row.status_reason or "-"

    @admin.display(description="result")
    def result_map(self, row: Execution) -> SafeString:
        """Show the result but for the output, which has its own place on the page."""
        return json_block(
            row.result and {name: value for name, value in row.result.items() if name not in Stream.values}
        )

    @admin.display(description="progress")
    def progress_text(self, row: Execution) -> str:
        progress = getattr(row, "progress", None)
        if progress is None:
            return "-"
        percent = "" if progress.percent is None else f"{progress.percent:g} %"
        return " ".join(part for part in (percent, progress.text) if part) or "-"

    @admin.display(description="policy")
    def policy_link(self, row: Execution) -> SafeString | str:
        return row_link(Policy, row.policy.pk, row.policy.ref) if row.policy else "-"

    @admin.display(description="enforcement")
    def enforcement_link(self, row: Any) -> SafeString | str:
        enforcement = getattr(row, "enforcement", None)
        return row_link(type(enforcement), enforcement.pk) if enforcement else "-"

    @admin.display(description="event")
    def event_link(self, row: Any) -> SafeString | str:
        enforcement = getattr(row, "enforcement", None)
        if enforcement is None:
            return "-"
        return row_link(enforcement._meta.get_field("event").related_model, enforcement.event_id)

    @admin.display(description="parameters")
    def parameters(self, row: Execution) -> SafeString:
        """Show the parameters without secrets; those who may decrypt ask the API."""
        return json_block(shown_parameters(row))

    @admin.display(description="children")
    def children(self, row: Execution) -> SafeString | str:
        return links_to(row.children.order_by("id").values_list("pk", flat=True)[:MOST_SHOWN])

    @admin.display(description="re-runs")
    def reruns(self, row: Execution) -> SafeString | str:
        return links_to(row.reruns.order_by("id").values_list("pk", flat=True)[:MOST_SHOWN])

    @admin.action(description="Cancel selected executions", permissions=["cancel"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Execution]) -> None:
        waiting = queryset.exclude(status__in=TERMINAL).order_by("id")
        acting.stop(request, list(waiting[: acting.MOST_AT_ONCE]))

    @action(description="Cancel", url_path="cancel", permissions=["cancel"])  # type: ignore[untyped-decorator]
    def cancel_one(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        row = self.get_object(request, object_id)
        return self._gone(request, object_id) if row is None else acting.cancel_page(self, request, row)

    @action(description="Run again", url_path="rerun", permissions=["rerun"])  # type: ignore[untyped-decorator]
    def run_again(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        row = self.get_object(request, object_id)
        if row is None:
            return self._gone(request, object_id)
        return acting.rerun_page(self, request, row, shown_parameters(row))

    def _gone(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        gone: HttpResponseBase = self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        return gone


def live_url(object_id: str) -> str | None:
    """Return where the changes of an execution are told; None for one that has ended."""
    pk = int(object_id) if object_id.isascii() and object_id.isdigit() and len(object_id) < 19 else 0
    changes = Execution.objects.filter(pk=pk, finished_at=None).exists()
    return f"/api/v1/executions/stream?execution_id={pk}" if changes else None


def shown_parameters(row: Execution) -> dict[str, Any]:
    known = Action.objects.filter(pk=row.action_id or 0).only("param_schema").first()
    return redacted(known.param_schema, row.config) if known else all_redacted(row.config)


def links_to(ids: Iterable[int]) -> SafeString | str:
    return format_html_join(", ", "{}", ((row_link(Execution, pk),) for pk in ids)) or "-"
