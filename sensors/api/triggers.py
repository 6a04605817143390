"""Triggers over HTTP."""

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from attune_project.identity.rbac import allowed, require
from attune_project.identity.references import VisibleRef
from attune_project.packs.bodies import PackItemBody, SchemaOf
from attune_project.packs.contents import STANDARD_FIRST, OfPack, locked_or_404
from attune_project.packs.models import Pack
from attune_project.rest.filters import Flag, RowFilters, Search, Texts
from attune_project.rest.serializers import RowSerializer
from attune_project.rest.views import Catalogue, Listed, RowViewSet
from sensors.api.webhook_routes import WebhookRoutes, webhook_path
from sensors.changes import delete_trigger, set_enabled
from sensors.models import Trigger

LISTED = (
    "id", "created", "updated", "ref", "pack", "pack_ref", "label", "description", "enabled", "is_adhoc",
    "webhook_enabled", "sensor", "sensor_ref",
)  # fmt: skip
JUDGED = ("pack__ref", "pack__owner_id", "pack__is_standard")


class TriggerItem(RowSerializer):
    """A trigger; its key only for those who may change it. Its query must have joined the pack."""

    webhook_key = serializers.SerializerMethodField()
    webhook_url = serializers.SerializerMethodField()

    class Meta:
        model = Trigger
        fields: tuple[str, ...] = (*LISTED, "webhook_key", "webhook_url")

    def get_webhook_key(self, trigger: Trigger) -> str | None:
        user = self.context["request"].user
        return trigger.webhook_key if allowed(user, "triggers", "update", trigger) else None

    def get_webhook_url(self, trigger: Trigger) -> str | None:
        return webhook_path(self.get_webhook_key(trigger))


class TriggerDetail(TriggerItem):
    class Meta(TriggerItem.Meta):
        fields = (*TriggerItem.Meta.fields, "param_schema", "out_schema")


class TriggerBody(PackItemBody):
    """A trigger to be made or changed. It may do without a pack, but not without that of its ref."""

    pack_ref = VisibleRef(Pack, resource="packs", source="pack", required=False, allow_null=True)
    param_schema = SchemaOf()
    out_schema = SchemaOf()

    class Meta:
        model = Trigger
        fields = ("ref", "pack_ref", "label", "description", "enabled", "param_schema", "out_schema")

    def to_internal_value(self, data: Any) -> Any:
        """Find the pack by the ref when the body doesn't name it."""
        if isinstance(data, dict) and self.instance is None and data.get("pack_ref") is None:
            pack, _, _ = str(data.get("ref")).partition(".")
            if Pack.objects.filter(ref=pack).exists():
                data = {**data, "pack_ref": pack}
        return super().to_internal_value(data)


class TriggerFilters(RowFilters):
    pack_ref = Texts("pack_ref")
    enabled = Flag("enabled")
    webhook_enabled = Flag("webhook_enabled")
    search = Search(columns=("ref", "label", "description"))

    class Meta:
        model = Trigger
        fields: list[str] = []


class TriggerLists(RowViewSet):
    """What every list of triggers shares."""

    queryset = Trigger.objects.select_related("pack")
    resource = "triggers"
    lookup_field = "ref"
    serializer_class = TriggerDetail
    list_serializer_class = TriggerItem
    filterset_class = TriggerFilters
    ordering = STANDARD_FIRST
    ordering_fields = ("created", "id", "updated", "ref", "label", "enabled", "pack_ref")

    def get_queryset(self) -> QuerySet[Trigger]:
        rows: QuerySet[Trigger] = super().get_queryset()
        return rows.only(*LISTED, "webhook_key", *JUDGED) if self.action in ("list", "enabled") else rows


class TriggerViews(WebhookRoutes, Catalogue, TriggerLists):
    permission_map = {"enabled": "read", "enable": "update", "disable": "update", **WebhookRoutes.rights}
    write_serializer_class = TriggerBody

    def make(self, serializer: Any) -> Trigger:
        values = serializer.validated_data
        pack = values.get("pack")
        trigger = Trigger(is_adhoc=True, pack_ref=pack and pack.ref, **values)
        require(self.request.user, "triggers", "create", trigger)
        trigger.save(force_insert=True)
        return trigger

    def change(self, row: Trigger, serializer: Any) -> Trigger:
        trigger = locked_or_404(row)
        was_enabled = trigger.enabled
        for name, value in serializer.validated_data.items():
            setattr(trigger, name, value)
        trigger.save()
        return trigger if trigger.enabled == was_enabled else set_enabled(trigger, trigger.enabled)

    def remove(self, row: Trigger) -> None:
        delete_trigger(locked_or_404(row))

    @extend_schema(responses=TriggerItem(many=True), operation_id="triggers_enabled")
    @action(detail=False)
    def enabled(self, request: Request) -> Response:
        return self.list_rows(self.filter_queryset(self.get_queryset()).filter(enabled=True), TriggerItem)

    @extend_schema(request=None, responses=TriggerDetail)
    @action(methods=["post"], detail=True)
    def enable(self, request: Request, ref: str) -> Response:
        return self._switch(True)

    @extend_schema(request=None, responses=TriggerDetail)
    @action(methods=["post"], detail=True)
    def disable(self, request: Request, ref: str) -> Response:
        return self._switch(False)

    def _switch(self, enabled: bool) -> Response:
        seen = self.get_object()
        with transaction.atomic():
            trigger = locked_or_404(seen)
            if trigger.enabled != enabled:
                set_enabled(trigger, enabled)
        return self.show(trigger)


class TriggersOfPack(OfPack, Listed, TriggerLists):
    """`GET /packs/{ref}/triggers`"""
