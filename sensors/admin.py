"""Admin pages of what happens: triggers, sensors, events, timers."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import action

from attune_project.identity.admin_access import RbacModelAdmin, row_link
from attune_project.identity.admin_history import (
    Created,
    HistoryAdmin,
    OfRef,
    is_list,
    json_block,
    link,
    pretty,
)
from attune_project.identity.admin_pages import address_link, ask, list_link, page_of
from attune_project.identity.rbac import allowed, visible
from attune_project.rest.trace import current_trace_id
from sensors import admin_periodic, changes, webhook_config
from sensors.models import Event, Sensor, Timer, TimerSlot, Trigger
from sensors.recording import EventRefused, NewEvent, Recorded, record_events

__all__ = ["admin_periodic"]
MOST_AT_ONCE = 500
HIDDEN = "hidden: it takes the right triggers:update to see it"


@admin.register(Trigger)
class TriggerAdmin(RbacModelAdmin):
    """Triggers come by packs and the API; here they are looked at and switched."""

    resource = "triggers"
    list_display = ("ref", "label", "enabled", "webhook_enabled", "pack_link", "updated")
    list_filter = ("enabled", "webhook_enabled", "is_adhoc", "pack_ref")
    list_select_related = ("pack",)
    search_fields = ("ref", "label")
    actions = ("enable", "disable")
    fields = (
        "ref", "label", "description", "enabled", "pack_link", "sensor_link", "is_adhoc", "params",
        "payloads", "webhook_enabled", "key", "guards", "events", "created", "updated",
    )  # fmt: skip
    readonly_fields = fields

    pack_link = link("pack")
    sensor_link = link("sensor")
    params = pretty("param_schema")
    payloads = pretty("out_schema")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_object(self, request: HttpRequest, *args: Any, **options: Any) -> Any:
        """Note whether the key may be shown: displays know the row alone."""
        row = super().get_object(request, *args, **options)
        if row is not None:
            row.is_open = allowed(request.user, "triggers", "update", row)
        return row

    @admin.display(description="webhook key")
    def key(self, trigger: Any) -> str:
        return (trigger.webhook_key or "-") if trigger.is_open else HIDDEN

    @admin.display(description="webhook config")
    def guards(self, trigger: Any) -> SafeString | str:
        return json_block(webhook_config.shown(trigger.webhook_config)) if trigger.is_open else HIDDEN

    @admin.display(description="events")
    def events(self, trigger: Trigger) -> SafeString:
        return list_link(Event, "its events", trigger_ref=trigger.ref)

    @admin.action(description="Enable selected triggers", permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Trigger]) -> None:
        self._switch(request, queryset, True)

    @admin.action(description="Disable selected triggers", permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Trigger]) -> None:
        self._switch(request, queryset, False)

    def _switch(self, request: HttpRequest, queryset: QuerySet[Trigger], enabled: bool) -> None:
        rows = [row for row in queryset if allowed(request.user, "triggers", "update", row)]
        for row in rows:
            changes.set_enabled(row, enabled)
        messages.success(request, f"{len(rows)} triggers {'enabled' if enabled else 'disabled'}.")


@admin.register(Sensor)
class SensorAdmin(RbacModelAdmin):
    resource = "sensors"
    read_only = True
    list_display = ("ref", "label", "enabled", "trigger_refs", "pack_link", "updated")
    list_filter = ("enabled", "pack_ref")
    list_select_related = ("pack",)
    search_fields = ("ref", "label")
    fields = (
        "ref", "label", "description", "enabled", "pack_link", "entrypoint", "runtime_link", "trigger_refs",
        "is_adhoc", "params", "settings", "selector", "created", "updated",
    )  # fmt: skip
    readonly_fields = fields

    pack_link = link("pack")
    runtime_link = link("runtime")
    params = pretty("param_schema")
    settings = pretty("config")
    selector = pretty("worker_selector")


class OfTrigger(OfRef):
    title = "trigger"
    parameter_name = "trigger_ref"
    model = Trigger
    resource = "triggers"


@admin.register(Event)
class EventAdmin(HistoryAdmin):
    resource = "events"
    list_display = (
        "id", "trigger_link", "status", "rule_link", "source_ref", "enforcements", "created", "decided_at",
    )  # fmt: skip
    list_display_links = ("id",)
    list_filter = (Created, "status", OfTrigger)
    search_ref = "trigger_ref"
    actions = ("send_again",)
    actions_detail = ("send_one_again",)
    fields = (
        "id", "trigger_link", "status", "rule_link", "source_link", "chain", "evaluations", "payload_map",
        "config_map", "dedup_key", "ruleset_revision", "trace_id", "created", "decided_at", "updated",
    )  # fmt: skip
    readonly_fields = fields

    trigger_link = link("trigger")
    rule_link = link("rule")
    source_link = link("source")
    payload_map = pretty("payload")
    config_map = pretty("config")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        return rows.prefetch_related(enforcements_in_lists()) if is_list(request) else rows

    def has_send_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return allowed(request.user, "events", "create")

    @admin.display(description="enforcements")
    def enforcements(self, event: Any) -> SafeString | str:
        rows = list(event.enforcements.all())
        return format_html_join(", ", "{}", ((row_link(type(row), row.pk),) for row in rows)) or "-"

    @admin.display(description="enforcements")
    def chain(self, event: Any) -> SafeString | str:
        """Show what followed: each enforcement, its rule, its execution."""
        rows = event.enforcements.defer("config", "conditions", "payload").order_by("id")[:100]
        return format_html_join("", "<p>{} {} of {}, execution {}</p>", map(_link_of_chain, rows)) or "-"

    @admin.display(description="evaluations")
    def evaluations(self, event: Event) -> SafeString:
        return address_link(f"/api/v1/events/{event.pk}/evaluations", "what each rule said")

    @admin.action(description="Send selected events again", permissions=["send"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[Event]) -> None:
        send(request, list(queryset.order_by("id")[:MOST_AT_ONCE]))

    @action(  # type: ignore[untyped-decorator]
        description="Send again", url_path="send-again", permissions=["send"]
    )
    def send_one_again(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        event = self.get_object(request, object_id)
        if event is None:
            gone: HttpResponseBase = self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
            return gone
        if request.method == "POST":
            sent = send(request, [event])
            return HttpResponseRedirect(page_of(Event, sent[0] if sent else event.pk))
        text = f"A new event of {event.trigger_ref} will be recorded with the payload of event {event.pk}."
        return ask(
            self, request, title=f"Send event {event.pk} again", text=text, form=forms.Form(), button="Send"
        )


def enforcements_in_lists() -> "Prefetch[Any]":
    """Return what a list shows of enforcements: their ids alone, in one query for the page."""
    model = Event._meta.get_field("enforcements").related_model
    return Prefetch("enforcements", queryset=model._default_manager.only("id", "event_id").order_by("id"))


def _link_of_chain(row: Any) -> tuple[Any, ...]:
    execution = row._meta.get_field("execution").related_model
    rule = row._meta.get_field("rule").related_model
    return (
        row_link(type(row), row.pk),
        row.status,
        row_link(rule, row.rule_id, row.rule_ref),
        row_link(execution, row.execution_id),
    )


def send(request: HttpRequest, events: list[Event]) -> list[int]:
    """Record events like the given ones, as far as the caller may; say what became of them."""
    mine = [event for event in events if allowed(request.user, "events", "create", event)]
    outcomes = record_events([_again(event) for event in mine])
    sent = [one.id for one in outcomes if isinstance(one, Recorded)]
    if sent:
        messages.success(request, f"{len(sent)} events sent again: {', '.join(map(str, sent[:10]))}.")
    for refused in {str(one) for one in outcomes if isinstance(one, EventRefused)}:
        messages.error(request, refused)
    if len(mine) < len(events):
        messages.error(request, "Permission denied: events:create")
    return sent


def _again(event: Event) -> NewEvent:
    """Return the same event without its dedup key, which would make it a duplicate."""
    return NewEvent(
        event.trigger_ref,
        payload=event.payload,
        config=event.config,
        source_id=event.source_id,
        source_ref=event.source_ref,
        rule_id=event.rule_id,
        trace_id=current_trace_id(),
    )


@admin.register(Timer)
class TimerAdmin(RbacModelAdmin):
    """The timers of rules. They are changed with their rule."""

    resource = "events"  # whose grants compare the ref of a trigger, as a timer has it
    read_only = True
    list_display = ("id", "rule_link", "trigger_ref", "enabled", "next_fire_at", "last_fire_at", "fire_count")
    list_filter = ("enabled", "trigger_ref")
    list_select_related = ("rule",)
    search_fields = ("rule__ref",)
    fields = (
        "rule_link", "trigger_ref", "enabled", "schedule", "activated_at", "next_fire_at", "last_fire_at",
        "fire_count", "slots", "created", "updated",
    )  # fmt: skip
    readonly_fields = fields

    schedule = pretty("params")

    @admin.display(description="rule")
    def rule_link(self, timer: Any) -> SafeString | str:
        return row_link(type(timer.rule), timer.rule_id, timer.rule.ref) if timer.rule else "-"

    @admin.display(description="slots")
    def slots(self, timer: Timer) -> SafeString:
        return list_link(TimerSlot, "its slots", q=timer.pk)


@admin.register(TimerSlot)
class TimerSlotAdmin(HistoryAdmin):
    resource = "events"
    list_display = ("scheduled_for", "outcome", "reason", "timer_link", "event_link", "created")
    list_filter = ("outcome",)
    ordering = ("-id",)
    search_help_text = "The id of a timer"
    fields = ("timer_link", "scheduled_for", "outcome", "reason", "event_link", "created", "updated")
    readonly_fields = fields

    timer_link = link("timer")
    event_link = link("event")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the slots of timers that the caller may see: a slot has no ref of its own."""
        timers = Timer.objects.all()
        seen = visible(request.user, "events", timers)
        rows = TimerSlot.objects.order_by("-id")
        return rows if seen is timers else rows.filter(timer__in=seen.values("pk"))

    def may(self, request: HttpRequest, what: str, row: Any = None) -> bool:
        return super().may(request, what, row and row.timer)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        found = [int(word) for word in [search_term.strip()] if word.isascii() and word.isdigit()]
        return queryset.filter(timer_id__in=found) if search_term.strip() else queryset, False
