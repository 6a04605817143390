"""Admin pages of actions: looked at, and run."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils.safestring import SafeString
from unfold.decorators import action

from attune_project.identity.admin_access import RbacModelAdmin
from attune_project.identity.admin_history import link, pretty
from attune_project.identity.admin_pages import JsonMapField, ask, list_link, page_of
from attune_project.identity.models import Identity
from attune_project.identity.rbac import allowed
from attune_project.language.schemas import with_defaults
from attune_project.rest.trace import current_trace_id
from executions.models import Action, Execution
from executions.requesting import Wanted, request_executions


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
        "max_retries", "tried_again", "own_limits", "idempotent", "lost_worker_retries", "env_allow",
        "worker_pool", "selector", "runtimes",
        "default_execution_permission_set_refs", "is_adhoc", "created", "updated",
    )  # fmt: skip
    readonly_fields = fields

    pack_link = link("pack")
    runtime_link = link("runtime")
    params = pretty("param_schema")
    results = pretty("out_schema")
    selector = pretty("worker_selector")
    runtimes = pretty("required_worker_runtimes")
    tried_again = pretty("retry_on")
    own_limits = pretty("limits")

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
