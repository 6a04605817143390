"""Admin pages of attempts."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from attune_project.identity.admin_access import RbacInline
from attune_project.identity.admin_history import HistoryAdmin, is_list, json_block, link
from attune_project.identity.rbac import visible
from executions.models import Attempt, Execution
from executions.models.attempt import with_results


@admin.display(description="result")
def result_map(self: Any, row: Attempt) -> SafeString:
    """Show what an attempt came to; the last one's result stands at its execution."""
    if row.result is None and row.finished_at is not None:
        attempts = with_results(row.execution, list(row.execution.attempts.order_by("number")))
        row = next((one for one in attempts if one.pk == row.pk), row)
    return json_block(row.result)


class AttemptInline(RbacInline):
    model = Attempt
    resource = "executions"
    read_only = True
    fields = ("number", "status", "worker_link", "result_map", "started_at", "finished_at")
    readonly_fields = fields
    ordering = ("number",)
    show_change_link = True

    worker_link = link("worker")
    result_map = result_map


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
    result_map = result_map

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
