"""Admin pages of the house: health, probes, steps, counts and dead letters."""

from functools import partial
from typing import Any

from django.contrib import admin
from django.urls import path

from attune_project.console import admin_retention  # noqa: F401 (Django looks for pages in this module)
from attune_project.console.admin_invariants import NAME, invariants_page
from attune_project.console.models import HealthCheck
from attune_project.identity.admin_access import RbacModelAdmin
from attune_project.identity.admin_history import HistoryAdmin, pretty
from attune_project.messaging.models import DeadLetter, MessageCount, MessageProbe, Step


class HouseAdmin(RbacModelAdmin):
    """Small tables that the services keep. Whoever may read workers sees them; nobody changes them."""

    resource = "workers"
    read_only = True


@admin.register(HealthCheck)
class HealthCheckAdmin(HouseAdmin):
    list_display = ("name", "status", "cause", "reason", "since", "updated")
    list_filter = ("status",)
    search_fields = ("name", "cause")
    ordering = ("-status", "since")  # red before ok

    def get_urls(self) -> list[Any]:
        page = self.admin_site.admin_view(partial(invariants_page, self))
        return [path("invariants/", page, name=NAME), *super().get_urls()]


@admin.register(MessageProbe)
class MessageProbeAdmin(HouseAdmin):
    list_display = ("routing_key", "service", "message_type", "sent_at", "answered_at", "error")
    list_filter = ("service",)
    search_fields = ("routing_key",)
    ordering = ("routing_key", "service")


@admin.register(Step)
class StepAdmin(HouseAdmin):
    list_display = ("name", "repairs", "repaired_at", "polled_at", "full_claim_at")
    ordering = ("name",)


@admin.register(MessageCount)
class MessageCountAdmin(HouseAdmin):
    list_display = ("name", "label", "outcome", "total", "updated")
    list_filter = ("name", "outcome")
    search_fields = ("label",)
    ordering = ("name", "label", "outcome")


@admin.register(DeadLetter)
class DeadLetterAdmin(HistoryAdmin):
    resource = "workers"
    list_display = ("id", "routing_key", "queue", "reason", "step", "row_id", "created", "requeued_at")
    ordering = ("-id",)
    search_ref = "routing_key"
    search_help_text = "An id, or a whole routing key"
    fields = (
        "id", "message_id", "exchange", "routing_key", "queue", "reason", "step", "row_id", "trace_id",
        "shown_body", "header_map", "created", "requeued_at",
    )  # fmt: skip
    readonly_fields = fields

    header_map = pretty("headers")
    shown_body = pretty("body")
