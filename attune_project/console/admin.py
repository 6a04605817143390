"""Admin pages of the house: health, probes, steps, counts and what is failing."""

from functools import partial
from typing import Any

from django.contrib import admin
from django.urls import path

from attune_project.console import (  # noqa: F401 (Django looks for pages in this module)
    admin_dead_letters,
    admin_retention,
)
from attune_project.console.admin_invariants import NAME, invariants_page
from attune_project.console.models import HealthCheck
from attune_project.identity.admin_access import RbacModelAdmin
from attune_project.messaging.models import MessageCount, MessageProbe, Step, StepFailure


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


@admin.register(StepFailure)
class StepFailureAdmin(HouseAdmin):
    list_display = ("step", "row_id", "message_id", "failures", "reason", "retry_at", "updated")
    list_filter = ("step", "reason")
    search_fields = ("message_id",)
    ordering = ("retry_at",)
