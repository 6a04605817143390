"""Sensors over HTTP, to be looked at; packs bring them."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from attune_project.identity.rbac import visible_or_404
from attune_project.language.redaction import redacted
from attune_project.packs.contents import STANDARD_FIRST, OfPack
from attune_project.rest.filters import Flag, RowFilters, Texts
from attune_project.rest.serializers import RowSerializer
from attune_project.rest.views import Listed, RowViewSet, Shown
from sensors.models import Sensor, Trigger

LISTED = (
    "id", "created", "updated", "ref", "pack", "pack_ref", "label", "description", "entrypoint", "runtime",
    "runtime_ref", "trigger_refs", "enabled", "is_adhoc", "worker_selector", "worker_tolerations",
    "worker_affinity",
)  # fmt: skip


class SensorItem(RowSerializer):
    class Meta:
        model = Sensor
        fields: tuple[str, ...] = LISTED


class SensorDetail(SensorItem):
    config = serializers.SerializerMethodField()

    class Meta(SensorItem.Meta):
        fields = (*LISTED, "param_schema", "config")

    @extend_schema_field({"type": "object", "nullable": True, "additionalProperties": {}})
    def get_config(self, sensor: Sensor) -> dict[str, Any] | None:
        return None if sensor.config is None else redacted(sensor.param_schema, sensor.config)


class SensorFilters(RowFilters):
    pack_ref = Texts("pack_ref")
    enabled = Flag("enabled")

    class Meta:
        model = Sensor
        fields: list[str] = []


class SensorLists(Listed, RowViewSet):
    """What every list of sensors shares."""

    queryset = Sensor.objects.all()
    resource = "sensors"
    lookup_field = "ref"
    serializer_class = SensorDetail
    list_serializer_class = SensorItem
    filterset_class = SensorFilters
    ordering = STANDARD_FIRST
    ordering_fields = ("created", "id", "updated", "ref", "label", "enabled", "pack_ref")

    def get_queryset(self) -> QuerySet[Sensor]:
        rows: QuerySet[Sensor] = super().get_queryset()
        return rows.only(*LISTED) if self.action in ("list", "enabled") else rows.select_related("pack")


class SensorViews(Shown, SensorLists):
    permission_map = {"enabled": "read"}

    @extend_schema(responses=SensorItem(many=True), operation_id="sensors_enabled")
    @action(detail=False)
    def enabled(self, request: Request) -> Response:
        return self.list_rows(self.filter_queryset(self.get_queryset()).filter(enabled=True), SensorItem)


class SensorsOfPack(OfPack, SensorLists):
    """`GET /packs/{ref}/sensors`"""


class SensorsOfTrigger(SensorLists):
    """`GET /triggers/{ref}/sensors`"""

    def get_queryset(self) -> QuerySet[Sensor]:
        rows = super().get_queryset()
        return rows.filter(trigger_refs__contains=[self.kwargs["ref"]]) if "ref" in self.kwargs else rows

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        visible_or_404(request.user, "triggers", Trigger.objects.all(), ref=self.kwargs["ref"])
        return super().list(request, *args, **kwargs)
