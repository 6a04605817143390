"""Admin pages of workers."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils.safestring import SafeString
from unfold.decorators import action

from attune_project.identity.admin_access import RbacModelAdmin, pretty_json
from attune_project.identity.admin_pages import ask, page_of
from attune_project.identity.models import Identity
from attune_project.identity.rbac import allowed

from . import workers
from .models import Worker
from .worker_state import with_state

Verb = Callable[[Worker], object]


class ReasonForm(forms.Form):
    reason = forms.CharField(required=False, max_length=500, help_text="Shown wherever the worker is.")


@admin.register(Worker)
class WorkerAdmin(RbacModelAdmin):
    """Workers make their rows themselves; a person cordons, drains and forgets them."""

    resource = "workers"
    read_only = True
    actions = ("cordon", "uncordon", "drain", "forget")
    actions_detail = ("cordon_one", "uncordon_one", "drain_one")
    list_display = ("name", "pool", "health", "cordoned", "last_heartbeat", "worker_role", "host")
    list_filter = ("status", "worker_role", "pool", "cordoned")
    search_fields = ("name", "host")
    fields = (
        "name", "worker_role", "worker_type", "pool", "host", "status", "health", "last_heartbeat",
        "capability_map", "more", "cordoned", "cordon_reason", "cordoned_by", "cordoned_at",
        "drain_requested_at", "created", "updated",
    )  # fmt: skip
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return with_state(super().get_queryset(request))

    def has_manage_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return allowed(request.user, "workers", "manage")

    @admin.display(description="health", ordering="health_state")
    def health(self, worker: Any) -> str:
        return str(worker.health_state)

    @admin.display(description="capabilities")
    def capability_map(self, worker: Worker) -> SafeString:
        return pretty_json(worker.capabilities)

    @admin.display(description="meta")
    def more(self, worker: Worker) -> SafeString:
        return pretty_json(worker.meta)

    @admin.action(description="Cordon selected workers", permissions=["manage"])
    def cordon(self, request: HttpRequest, queryset: QuerySet[Worker]) -> None:
        each(request, queryset, lambda row: workers.cordon(row, by=person(request)), "cordoned")

    @admin.action(description="Uncordon selected workers", permissions=["manage"])
    def uncordon(self, request: HttpRequest, queryset: QuerySet[Worker]) -> None:
        each(request, queryset, workers.uncordon, "uncordoned")

    @admin.action(description="Drain selected workers, and end them", permissions=["manage"])
    def drain(self, request: HttpRequest, queryset: QuerySet[Worker]) -> None:
        each(request, queryset, lambda row: workers.drain(row, by=person(request)), "asked to drain")

    @admin.action(description="Forget selected workers that have ended", permissions=["manage"])
    def forget(self, request: HttpRequest, queryset: QuerySet[Worker]) -> None:
        each(request, queryset, workers.forget, "forgotten")

    @action(description="Cordon", url_path="cordon", permissions=["manage"])  # type: ignore[untyped-decorator]
    def cordon_one(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        text = "It takes nothing new. What it runs goes on."
        return self._ask(request, object_id, "Cordon", text, workers.cordon)

    @action(description="Drain", url_path="drain", permissions=["manage"])  # type: ignore[untyped-decorator]
    def drain_one(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        text = (
            "It takes nothing new, finishes what it runs, and ends. What supervises it may start another one."
        )
        return self._ask(request, object_id, "Drain", text, workers.drain)

    @action(description="Uncordon", url_path="uncordon", permissions=["manage"])  # type: ignore[untyped-decorator]
    def uncordon_one(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        def uncordon(row: Worker, *, by: Identity | None, reason: str | None) -> None:
            workers.uncordon(row)

        return self._ask(
            request, object_id, "Uncordon", "It takes work again.", uncordon, form_class=forms.Form
        )

    def _ask(
        self,
        request: HttpRequest,
        object_id: str,
        word: str,
        text: str,
        verb: Callable[..., None],
        *,
        form_class: type[forms.Form] = ReasonForm,
    ) -> HttpResponseBase:
        row = self.get_object(request, object_id)
        if row is None:
            gone: HttpResponseBase = self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
            return gone
        form = form_class(request.POST if request.method == "POST" else None)
        if form.is_valid():
            verb(row, by=person(request), reason=form.cleaned_data.get("reason") or None)
            return HttpResponseRedirect(page_of(Worker, row.pk))
        return ask(self, request, title=f"{word} {row.name}", text=text, form=form, button=word)


def each(request: HttpRequest, queryset: QuerySet[Worker], verb: Verb, said: str) -> None:
    """Do something to each of the workers, as far as it can be done; say how many that was."""
    done = 0
    for row in queryset:
        try:
            verb(row)
            done += 1
        except workers.StillAlive as problem:
            messages.error(request, str(problem))
    messages.success(request, f"{done} workers {said}.")


def person(request: HttpRequest) -> Identity:
    assert isinstance(request.user, Identity)
    return request.user
