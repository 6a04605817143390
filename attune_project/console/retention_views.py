"""`GET, PUT /retention-config`."""

from typing import Any

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from attune_project.console.models import RetentionConfig, RetentionCount
from attune_project.console.models.retention import LONGEST_DAYS
from attune_project.console.retention import limits
from attune_project.identity.models import Identity
from attune_project.rest.changes import put_changes
from attune_project.rest.serializers import Flag, Number
from attune_project.rest.views import View, answer, as_map

NULLABLE = {"enabled", "runtime_days", "audit_days"}


class RetentionBody(serializers.Serializer[Any]):
    """`{"op": "clear"}` goes back to what the environment says."""

    enabled = Flag(required=False, allow_null=True)
    runtime_days = Number(required=False, allow_null=True, min_value=1, max_value=LONGEST_DAYS)
    audit_days = Number(required=False, allow_null=True, min_value=1, max_value=LONGEST_DAYS)


class RetentionShape(serializers.Serializer[Any]):
    """What is in force; `deleted` is how many rows of each table have gone so far."""

    enabled = serializers.BooleanField()
    runtime_days = serializers.IntegerField()
    audit_days = serializers.IntegerField()
    changed_by = serializers.IntegerField(allow_null=True)
    updated = serializers.DateTimeField(allow_null=True)
    deleted = serializers.DictField(child=serializers.IntegerField())


class RetentionView(View):
    resource = "retention"
    permission_map = {"get": "read", "put": "update"}

    @extend_schema(responses=RetentionShape, operation_id="retention")
    def get(self, request: Request) -> Response:
        return answer(shown())

    @extend_schema(request=RetentionBody, responses=RetentionShape, operation_id="retention_update")
    def put(self, request: Request) -> Response:
        body = RetentionBody(data=put_changes(as_map(request.data), NULLABLE))
        body.is_valid(raise_exception=True)
        with transaction.atomic():
            row, _ = RetentionConfig.objects.select_for_update().get_or_create(pk=1)
            for name, value in body.validated_data.items():
                setattr(row, name, value)
            row.changed_by = request.user if isinstance(request.user, Identity) else None
            row.save()
        return answer(shown())


def shown() -> dict[str, Any]:
    row = RetentionConfig.objects.filter(pk=1).first()
    deleted = dict(RetentionCount.objects.order_by("name").values_list("name", "deleted"))
    found = {
        **vars(limits.current()),
        "changed_by": row and row.changed_by_id,
        "updated": row and row.updated,
        "deleted": deleted,
    }
    return dict(RetentionShape(found).data)
