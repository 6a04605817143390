"""What people do about executions on the admin's pages: cancel them, run them once more."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.options import ModelAdmin
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from rest_framework.exceptions import APIException
from unfold.widgets import UnfoldAdminTextInputWidget

from attune_project.identity.admin_pages import JsonMapField, ask, page_of
from attune_project.identity.models import Identity
from attune_project.identity.rbac import allowed
from executions import lifecycle
from executions.models import Execution
from executions.rerunning import rerun

MOST_AT_ONCE = 500
LONGEST_REASON = 2000


class ReasonForm(forms.Form):
    reason = forms.CharField(
        required=False, max_length=LONGEST_REASON, widget=UnfoldAdminTextInputWidget,
        help_text="Why, for whoever looks at it later.",
    )  # fmt: skip


class RerunForm(ReasonForm):
    parameters = JsonMapField(
        required=False, help_text="A JSON object. A secret that is left as it is shown stays what it was."
    )
    field_order = ("parameters", "reason")


def posted(request: HttpRequest) -> Any:
    """Return what a form is filled with; a post without a field is one, too."""
    return request.POST if request.method == "POST" else None


def stop(request: HttpRequest, rows: list[Execution], reason: str | None = None) -> None:
    """Cancel executions, as far as the caller may; say how many were not over yet."""
    mine = [row for row in rows if allowed(request.user, "executions", "cancel", row)]
    changed = [row for row in mine if lifecycle.cancel(row.pk, request.user.pk, reason) is not None]
    messages.success(request, f"{len(changed)} executions cancelled, or asked to stop.")
    if len(mine) < len(rows):
        messages.error(request, "Permission denied: executions:cancel")


def cancel_page(page: "ModelAdmin[Any]", request: HttpRequest, row: Execution) -> HttpResponseBase:
    form = ReasonForm(posted(request))
    if form.is_valid():
        stop(request, [row], form.cleaned_data["reason"] or None)
        return HttpResponseRedirect(page_of(Execution, row.pk))
    text = f"Execution {row.pk} of {row.action_ref} is {row.status}. One that runs is asked to stop."
    title = f"Cancel execution {row.pk}"
    return ask(page, request, title=title, text=text, form=form, button="Cancel it")


def rerun_page(
    page: "ModelAdmin[Any]", request: HttpRequest, row: Execution, parameters: dict[str, Any]
) -> HttpResponseBase:
    form = RerunForm(posted(request), initial={"parameters": parameters})
    if form.is_valid():
        made = _rerun(request, row, form.cleaned_data)
        return HttpResponseRedirect(page_of(Execution, row.pk if made is None else made))
    text = f"{row.action_ref} will run once more, as a new execution that names this one."
    title = f"Run execution {row.pk} again"
    return ask(page, request, title=title, text=text, form=form, button="Run again")


def _rerun(request: HttpRequest, row: Execution, values: dict[str, Any]) -> int | None:
    assert isinstance(request.user, Identity)
    try:
        made = rerun(row, request.user, values["parameters"], values["reason"] or None)
    except APIException as refusal:
        messages.error(request, str(refusal.detail))
        return None
    messages.success(request, f"Execution {made} was requested.")
    return made
