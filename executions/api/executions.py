"""Executions over HTTP: look at them, count them, cancel them, run them once more."""

from typing import Any

from django.db.models import Count, QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from attune_project.identity.models import Identity
from attune_project.identity.rbac import require
from attune_project.rest.errors import BadRequest, Conflict
from attune_project.rest.query import flag
from attune_project.rest.serializers import Map, Text
from attune_project.rest.views import Listed, RowViewSet, Shown, answer
from executions import lifecycle
from executions.api.filters import ExecutionFilters
from executions.api.searching import Searched
from executions.api.shapes import ITEM_FIELDS, JOINED, JOINED_FIELDS, ExecutionDetail, ExecutionItem
from executions.models import Execution, Status
from executions.rerunning import rerun

COUNTED = {
    "completed": (Status.COMPLETED,),
    "failed": (Status.FAILED,),
    "running": (Status.RUNNING, Status.CANCELING),
    "pending": (Status.REQUESTED, Status.SCHEDULING, Status.SCHEDULED),
    "cancelled": (Status.CANCELLED,),
    "timeout": (Status.TIMEOUT,),
    "abandoned": (Status.ABANDONED,),
}
LONGEST_REASON = 2000
SECRETS = OpenApiParameter("include_secret_values", bool, description="Needs executions:decrypt.")


class Stats(serializers.Serializer[Any]):
    """How many executions there are; `running` counts those that are being stopped, too."""

    total = serializers.IntegerField()
    completed = serializers.IntegerField()
    failed = serializers.IntegerField()
    running = serializers.IntegerField()
    pending = serializers.IntegerField()
    cancelled = serializers.IntegerField()
    timeout = serializers.IntegerField()
    abandoned = serializers.IntegerField()


class Reason(serializers.Serializer[Any]):
    reason = Text(required=False, allow_null=True, allow_blank=True, max_length=LONGEST_REASON)


class RerunBody(Reason):
    parameters = Map(required=False, allow_null=True)


class ExecutionViews(Searched, Listed, Shown, RowViewSet):
    queryset = Execution.objects.select_related(*JOINED)
    resource = "executions"
    permission_map = {"with_status": "read", "stats": "read", "cancel": "cancel", "rerun": "read"}
    lookup_value_regex = "[0-9]+"
    serializer_class = ExecutionDetail
    list_serializer_class = ExecutionItem
    filterset_class = ExecutionFilters
    ordering_fields = ("created", "id", "updated", "status", "action_ref", "started_at", "finished_at")

    def get_queryset(self) -> QuerySet[Execution]:
        rows: QuerySet[Execution] = super().get_queryset()
        if self.action in ("list", "with_status"):
            return rows.only(*ITEM_FIELDS, *JOINED_FIELDS)
        # Of the enforcement only its id is shown; it may be large.
        return rows.defer("enforcement__config", "enforcement__payload", "enforcement__conditions")

    @extend_schema(parameters=[SECRETS])
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        execution = self.get_object()
        if flag(request.query_params, "include_secret_values", False):
            require(request.user, "executions", "decrypt", execution)
            self.include_secret_values = True
        return self.show(execution)

    def get_serializer_context(self) -> dict[str, Any]:
        wanted = getattr(self, "include_secret_values", False)
        return {**super().get_serializer_context(), "include_secret_values": wanted}

    @extend_schema(responses=ExecutionItem(many=True), operation_id="executions_with_status")
    @action(detail=False, url_path="status/(?P<status>[^/]+)")
    def with_status(self, request: Request, status: str) -> Response:
        if status not in Status.values:
            raise BadRequest(f"status: {status[:40]!r} isn't one of {', '.join(Status.values)}")
        rows = self.filter_queryset(self.get_queryset().filter(status=status))
        return self.list_rows(rows, ExecutionItem)

    @extend_schema(responses=Stats, filters=False)
    @action(detail=False, pagination_class=None)
    def stats(self, request: Request) -> Response:
        by_status = dict(self.get_visible().order_by().values_list("status").annotate(Count("pk")))
        counts = {name: sum(by_status.get(one, 0) for one in ones) for name, ones in COUNTED.items()}
        return answer({"total": sum(by_status.values()), **counts})

    @extend_schema(request=Reason, responses=ExecutionDetail)
    @action(methods=["post"], detail=True)
    def cancel(self, request: Request, pk: str) -> Response:
        execution = self.get_object()
        reason = read(Reason, request).get("reason")
        if lifecycle.cancel(execution.pk, request.user.pk, reason) is None:
            execution.refresh_from_db(fields=["status"])
            raise Conflict(f"Execution {execution.pk} has ended already: {execution.status}")
        return self.show(self.get_queryset().get(pk=execution.pk))

    @extend_schema(request=RerunBody, responses={201: ExecutionDetail})
    @action(methods=["post"], detail=True)
    def rerun(self, request: Request, pk: str) -> Response:
        """Run it once more. Needs actions:execute; given parameters replace all of the original's."""
        original = self.get_object()
        body = read(RerunBody, request)
        assert isinstance(request.user, Identity)
        row_id = rerun(original, request.user, body.get("parameters"), body.get("reason"))
        return self.show(self.get_queryset().get(pk=row_id), status=201)


def read(body: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    """Return the values of a body, which may be left out."""
    serializer = body(data=request.data)
    serializer.is_valid(raise_exception=True)
    values: dict[str, Any] = serializer.validated_data
    return values
