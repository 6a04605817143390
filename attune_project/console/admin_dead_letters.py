"""Admin pages of dead letters: why each was given up on, what would become of it, what is done about it."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import action
from unfold.widgets import UnfoldAdminTextInputWidget

from attune_project.console.dead_letter_shapes import LONGEST_REASON
from attune_project.identity.admin_history import Created, HistoryAdmin, pretty
from attune_project.identity.admin_pages import ask, page_of
from attune_project.identity.models import Identity
from attune_project.identity.rbac import allowed
from attune_project.messaging import redriving
from attune_project.messaging.models import DeadLetter
from attune_project.messaging.models.dead_letter import OPEN
from attune_project.messaging.redriving import Actor, Outcome, Plan

MOST_AT_ONCE = 1000


class WhyForm(forms.Form):
    why = forms.CharField(
        required=False, max_length=LONGEST_REASON, widget=UnfoldAdminTextInputWidget,
        help_text="Kept with it, for whoever looks at it later.",
    )  # fmt: skip


class OfStatus(admin.SimpleListFilter):
    title = "status"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [("open", "open"), ("requeued", "requeued"), ("discarded", "discarded")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        wanted = {
            "open": OPEN,
            "requeued": ~Q(requeued_at=None),
            "discarded": ~Q(discarded_at=None),
        }
        value = self.value()
        return queryset.filter(wanted[value]) if value in wanted else queryset


@admin.register(DeadLetter)
class DeadLetterAdmin(HistoryAdmin):
    resource = "workers"
    list_display = (
        "id", "state", "queue", "reason", "routing_key", "step", "row_id", "deaths", "first_seen_at",
        "last_seen_at",
    )  # fmt: skip
    list_filter = (Created, OfStatus, "queue", "reason", "step")
    ordering = ("-id",)
    search_ref = "routing_key"
    search_help_text = "An id, or a whole routing key"
    actions = ("redrive", "discard")
    actions_detail = ("redrive_one", "discard_one")
    fieldsets = (
        (None, {"fields": (
            "id", "state", "reason", "why", "becomes", "deaths", "first_seen_at", "last_seen_at",
        )}),
        ("What it is", {"fields": (
            "queue", "exchange", "routing_key", "step", "row_id", "message_id", "trace_id", "shown_body",
            "header_map",
        )}),
        ("What was done", {"fields": (
            "requeued_at", "discarded_at", "closed_by_login", "closed_reason", "created",
        )}),
    )  # fmt: skip
    readonly_fields = tuple(name for _, group in fieldsets for name in group["fields"])

    header_map = pretty("headers")
    shown_body = pretty("body")

    @admin.display(description="status")
    def state(self, row: DeadLetter) -> str:
        return row.status

    @admin.display(description="why")
    def why(self, row: DeadLetter) -> SafeString:
        return format_html('<pre class="whitespace-pre-wrap">{}</pre>', row.detail or "-")

    @admin.display(description="if re-driven now")
    def becomes(self, row: DeadLetter) -> str:
        (plan,) = redriving.preview([row])
        return plan.text

    def has_manage_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return allowed(request.user, "workers", "manage")

    @admin.action(description="Re-drive selected dead letters", permissions=["manage"])
    def redrive(self, request: HttpRequest, queryset: QuerySet[DeadLetter]) -> HttpResponseBase | None:
        return self._bulk(request, queryset, "redrive")

    @admin.action(description="Discard selected dead letters", permissions=["manage"])
    def discard(self, request: HttpRequest, queryset: QuerySet[DeadLetter]) -> HttpResponseBase | None:
        return self._bulk(request, queryset, "discard")

    def _bulk(
        self, request: HttpRequest, queryset: QuerySet[DeadLetter], verb: str
    ) -> HttpResponseBase | None:
        """Ask first, with a preview; the page of the question posts the same selection back."""
        ids = list(queryset.filter(OPEN).order_by("pk").values_list("pk", flat=True)[:MOST_AT_ONCE])
        form = BulkForm(request.POST if "confirmed" in request.POST else None)
        if form.is_bound and form.is_valid():
            _do(request, verb, [int(pk) for pk in form.cleaned_data["ids"].split(",") if pk], form)
            return None
        chosen = {
            "ids": ",".join(map(str, ids)), "action": verb,
            "_selected_action": request.POST.get(helpers.ACTION_CHECKBOX_NAME, ""),
        }  # fmt: skip
        text = told(redriving.preview(DeadLetter.objects.filter(pk__in=ids))) if verb == "redrive" else ""
        title = f"{verb.capitalize()} {len(ids)} dead letters"
        asked = BulkForm(initial=chosen)
        return ask(self, request, title=title, text=text or title, form=asked, button=verb.capitalize())

    @action(description="Re-drive", url_path="redrive", permissions=["manage"])  # type: ignore[untyped-decorator]
    def redrive_one(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        return self._one(request, object_id, "redrive")

    @action(description="Discard", url_path="discard", permissions=["manage"])  # type: ignore[untyped-decorator]
    def discard_one(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        return self._one(request, object_id, "discard")

    def _one(self, request: HttpRequest, object_id: str, verb: str) -> HttpResponseBase:
        row = self.get_object(request, object_id)
        if row is None:
            gone: HttpResponseBase = self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
            return gone
        form = WhyForm(request.POST if request.method == "POST" else None)
        if form.is_valid():
            _do(request, verb, [row.pk], form)
            return HttpResponseRedirect(page_of(DeadLetter, row.pk))
        text = told(redriving.preview([row])) if verb == "redrive" else "It is closed; nothing else is done."
        title = f"{verb.capitalize()} dead letter {row.pk}"
        return ask(self, request, title=title, text=text, form=form, button=verb.capitalize())


class BulkForm(WhyForm):
    ids = forms.CharField(required=False, widget=forms.HiddenInput)
    action = forms.CharField(widget=forms.HiddenInput)
    _selected_action = forms.CharField(widget=forms.HiddenInput)
    confirmed = forms.CharField(initial="1", widget=forms.HiddenInput)


def _do(request: HttpRequest, verb: str, ids: list[int], form: Any) -> None:
    assert isinstance(request.user, Identity)
    by, why = Actor(request.user.login, request.user.pk), form.cleaned_data["why"] or None
    if verb == "redrive":
        messages.success(request, told(redriving.redrive(ids, by, why)))
    else:
        messages.success(request, f"{len(redriving.discard(ids, by, why))} dead letters discarded.")


def told(plans: list[Plan]) -> str:
    """Say what becomes of letters: of one in its sentence, of many by outcome."""
    if len(plans) == 1:
        return plans[0].text
    counts = {outcome.value: sum(plan.outcome == outcome for plan in plans) for outcome in Outcome}
    parts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items() if count)
    return f"{len(plans)} dead letters: {parts or 'nothing'}."
