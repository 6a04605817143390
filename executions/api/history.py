"""`GET /executions/{id}/history`: what an execution has been through."""

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from attune_project.identity.rbac import visible, visible_or_404
from attune_project.rest.filters import refuse_unknown
from attune_project.rest.paging import EnvelopePagination
from attune_project.rest.views import View, row_id
from executions.history import Passage, history_of
from executions.models import Execution, Status


class PassageShape(serializers.Serializer[Any]):
    """A status that it came to, or a re-run (`event`) and how that is now.

    `at` is null where the time isn't kept: of earlier attempts' `scheduled`, and of `canceling` once that
    is over. `by` is the identity that asked for it; `execution` the original, or the re-run.
    """

    event = serializers.ChoiceField(choices=["status", "rerun"])
    at = serializers.DateTimeField(allow_null=True)
    status = serializers.ChoiceField(choices=Status.choices)
    attempt = serializers.IntegerField(allow_null=True, help_text="Its number.")
    worker = serializers.IntegerField(allow_null=True)
    by = serializers.IntegerField(allow_null=True)
    reason = serializers.CharField(allow_null=True)
    execution = serializers.IntegerField(allow_null=True)


class ExecutionHistory(View):
    resource = "executions"
    permission_map = {"get": "read"}

    @extend_schema(operation_id="executions_history", responses=PassageShape(many=True))
    def get(self, request: Request, pk: str) -> Response:
        refuse_unknown(request, set())
        rows = visible(request.user, "executions", Execution.objects.all())
        execution = visible_or_404(
            request.user, "executions", Execution.objects.defer("config"), pk=row_id(pk)
        )
        pages = EnvelopePagination()
        passages: list[Passage] = pages.paginate_queryset(history_of(execution, rows), request)
        shown = PassageShape([asdict(one) for one in passages], many=True)
        return pages.get_paginated_response(shown.data)
