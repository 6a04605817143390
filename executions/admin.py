"""Admin pages of what is done: actions, executions and their attempts."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import action

from attune_project.identity.admin_access import RbacInline, RbacModelAdmin, row_link
from attune_project.identity.admin_history import (
    Created,
    HistoryAdmin,
    OfRef,
    is_list,
    json_block,
    link,
    pretty,
)
from attune_project.identity.admin_pages import JsonMapField, ask, list_link, page_of
from attune_project.identity.models import Identity
from attune_project.identity.rbac import allowed, visible
from attune_project.language.redaction import all_redacted, redacted
from attune_project.language.schemas import with_defaults
from attune_project.rest.trace import current_trace_id
from executions import lifecycle
from executions.models import TERMINAL, Action, Attempt, Execution
from executions.requesting import Wanted, request_executions

MOST_AT_ONCE = 500


class RunForm(forms.Form):
    parameters = JsonMapField(
        required=False, help_text="A JSON object. Unfit parameters make a run that failed."
    )


@admin.register(Action)
class ActionAdmin(RbacModelAdmin):
    """Actions come by packs and the API; here they are looked at and run."""

    resource = "actions"
    read_only = True
    list_display = ("ref", "label", "runtime_link", "worker_pool", "idempotent", "pack_link", "updated")
    list_filter = ("is_adhoc", "idempotent", "pack_ref", "runtime_ref")
    list_select_related = ("pack",)
    search_fields = ("ref", "label")
    actions_detail = ("run_now",)
    fields = (
        "ref", "label", "description", "pack_link", "entrypoint", "runtime_link", "executions", "params",
        "results", "parameter_delivery", "parameter_format", "output_format", "timeout_seconds",
        "max_retries", "idempotent", "lost_worker_retries", "env_allow", "worker_pool", "selector",
        "default_execution_permission_set_refs", "is_adhoc", "created", "updated",
    )  # fmt: skip
    readonly_fields = fields

    pack_link = link("pack")
    runtime_link = link("runtime")
    params = pretty("param_schema")
    results = pretty("out_schema")
    selector = pretty("worker_selector")

    def has_run_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return allowed(request.user, "actions", "execute")

    @admin.display(description="executions")
    def executions(self, row: Action) -> SafeString:
        return list_link(Execution, "its executions", action_ref=row.ref)

    @action(description="Run now", url_path="run", permissions=["run"])  # type: ignore[untyped-decorator]
    def run_now(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        row = self.get_object(request, object_id)
        if row is None:
            gone: HttpResponseBase = self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
            return gone
        if not allowed(request.user, "actions", "execute", row):
            messages.error(request, "Permission denied: actions:execute")
            return HttpResponseRedirect(page_of(Action, row.pk))
        form = RunForm(request.POST or None, initial={"parameters": with_defaults(row.param_schema, {})})
        if form.is_valid():
            return HttpResponseRedirect(
                page_of(Execution, run(request, row, form.cleaned_data["parameters"]))
            )
        text = f"{row.ref} will run once, as soon as a worker has a free slot."
        return ask(self, request, title=f"Run {row.ref} now", text=text, form=form, button="Run")


def run(request: HttpRequest, row: Action, parameters: dict[str, Any]) -> int:
    assert isinstance(request.user, Identity)
    wanted = Wanted(
        action=row, parameters=parameters, trace_id=current_trace_id(), executor_id=request.user.pk
    )
    [execution] = request_executions([wanted])
    messages.success(request, f"Execution {execution} was requested.")
    return execution


class AttemptInline(RbacInline):
    model = Attempt
    resource = "executions"
    read_only = True
    fields = ("number", "status", "worker_link", "result_map", "started_at", "finished_at")
    readonly_fields = fields
    ordering = ("number",)
    show_change_link = True

    worker_link = link("worker")
    result_map = pretty("result")


class OfAction(OfRef):
    title = "action"
    parameter_name = "action_ref"
    model = Action
    resource = "actions"


@admin.register(Execution)
class ExecutionAdmin(HistoryAdmin):
    resource = "executions"
    list_display = (
        "id", "action_link", "status", "status_reason", "enforcement_link", "event_link", "rule_ref",
        "retry_count", "created", "finished_at",
    )  # fmt: skip
    list_display_links = ("id",)
    list_filter = (Created, "status", OfAction)
    list_select_related = ("enforcement",)
    search_ref = "action_ref"
    inlines = (AttemptInline,)
    actions = ("cancel",)
    actions_detail = ("cancel_one",)
    fields = (
        "id", "action_link", "status", "status_reason", "event_link", "enforcement_link", "rule_ref",
        "trigger_ref", "parameters", "result_map", "env", "parent_link", "children", "original_link",
        "executor_link", "worker_link", "worker_pool", "selector", "permission_set_refs", "retry_count",
        "max_retries", "retry_reason", "due_at", "trace_id", "created", "scheduled_at", "started_at",
        "finished_at", "settled_at", "updated",
    )  # fmt: skip
    readonly_fields = fields
    LARGE_OF_ENFORCEMENT: ClassVar[tuple[str, ...]] = (
        "enforcement__config", "enforcement__conditions", "enforcement__payload",
    )  # fmt: skip

    action_link = link("action")
    parent_link = link("parent")
    original_link = link("original_execution")
    executor_link = link("executor")
    worker_link = link("worker")
    result_map = pretty("result")
    env = pretty("env_vars")
    selector = pretty("worker_selector")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request).select_related("enforcement").defer(*self.LARGE_OF_ENFORCEMENT)
        return rows.defer(*self._large()) if is_list(request) else rows

    def has_cancel_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return allowed(request.user, "executions", "cancel")

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
        known = Action.objects.filter(pk=row.action_id or 0).only("param_schema").first()
        return json_block(redacted(known.param_schema, row.config) if known else all_redacted(row.config))

    @admin.display(description="children")
    def children(self, row: Execution) -> SafeString | str:
        shown = row.children.order_by("id").values_list("pk", flat=True)[:50]
        return format_html_join(", ", "{}", ((row_link(Execution, pk),) for pk in shown)) or "-"

    @admin.action(description="Cancel selected executions", permissions=["cancel"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Execution]) -> None:
        stop(request, list(queryset.exclude(status__in=TERMINAL).order_by("id")[:MOST_AT_ONCE]))

    @action(description="Cancel", url_path="cancel", permissions=["cancel"])  # type: ignore[untyped-decorator]
    def cancel_one(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        row = self.get_object(request, object_id)
        if row is None:
            gone: HttpResponseBase = self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
            return gone
        if request.method == "POST":
            stop(request, [row])
            return HttpResponseRedirect(page_of(Execution, row.pk))
        text = f"Execution {row.pk} of {row.action_ref} is {row.status}. One that runs is asked to stop."
        title = f"Cancel execution {row.pk}"
        return ask(self, request, title=title, text=text, form=forms.Form(), button="Cancel it")


def stop(request: HttpRequest, rows: list[Execution]) -> None:
    """Cancel executions, as far as the caller may; say how many were not over yet."""
    mine = [row for row in rows if allowed(request.user, "executions", "cancel", row)]
    changed = [row for row in mine if lifecycle.cancel(row.pk) is not None]
    messages.success(request, f"{len(changed)} executions cancelled, or asked to stop.")
    if len(mine) < len(rows):
        messages.error(request, "Permission denied: executions:cancel")


@admin.register(Attempt)
class AttemptAdmin(HistoryAdmin):
    resource = "executions"
    list_display = ("id", "execution_link", "number", "status", "worker_link", "started_at", "finished_at")
    list_filter = ("status",)
    ordering = ("-id",)
    search_help_text = "The id of an execution"
    fields = (
        "execution_link", "number", "status", "worker_link", "result_map", "started_at", "finished_at",
    )  # fmt: skip
    readonly_fields = fields

    execution_link = link("execution")
    worker_link = link("worker")
    result_map = pretty("result")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the attempts of executions that the caller may see: an attempt has no ref of its own."""
        executions = Execution.objects.all()
        seen = visible(request.user, "executions", executions)
        rows = Attempt.objects.order_by("-id").defer(*(["result"] if is_list(request) else []))
        return rows if seen is executions else rows.filter(execution__in=seen.values("pk"))

    def may(self, request: HttpRequest, what: str, row: Any = None) -> bool:
        return super().may(request, what, row and row.execution)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        found = [int(word) for word in [search_term.strip()] if word.isascii() and word.isdigit()]
        return queryset.filter(execution_id__in=found) if search_term.strip() else queryset, False
