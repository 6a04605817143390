"""Executions over HTTP: look at them, count them, cancel them, run them once more."""

from contextlib import nullcontext
from typing import Any

from django.db.models import QuerySet
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
from executions.api.searching import PARAMETER, Searched, bounded
from executions.api.shapes import ITEM_FIELDS, JOINED, JOINED_FIELDS, ExecutionDetail, ExecutionItem
from executions.api.stats import Stats, stats_of
from executions.models import Execution, Status
from executions.rerunning import rerun

LONGEST_REASON = 2000
SECRETS = OpenApiParameter("include_secret_values", bool, description="Needs executions:decrypt.")


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
        if self.action in ("list", "with_status", "stats"):
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

    @extend_schema(responses=Stats)
    @action(detail=False, pagination_class=None)
    def stats(self, request: Request) -> Response:
        """Count by status what the list's filters leave."""
        with bounded() if PARAMETER in request.query_params else nullcontext():
            return answer(stats_of(self.filter_queryset(self.get_queryset())))

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
