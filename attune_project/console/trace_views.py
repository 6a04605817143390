"""`GET /trace/{kind}/{id}`."""

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from attune_project.console import trace
from attune_project.console.serializers import TraceShape
from attune_project.console.trace import Chain
from attune_project.identity.rbac import visible_or_404
from attune_project.rest.views import View, answer, row_id
from executions.models import Execution
from rules.models import Enforcement
from sensors.models import Event

# kind -> its resource in RBAC, its rows, and how to follow it
KINDS: dict[str, tuple[str, Callable[[], QuerySet[Any]], Callable[[int], Chain]]] = {
    "event": ("events", Event.objects.all, trace.chain_of_event),
    "enforcement": ("enforcements", Enforcement.objects.all, trace.chain_of_enforcement),
    "execution": ("executions", Execution.objects.all, trace.chain_of_execution),
}


class TraceView(View):
    """The whole chain from any link of it, each with its times and its reason."""

    resource = "events"
    permission_map = {"get": "read"}

    @extend_schema(responses=TraceShape, operation_id="trace")
    def get(self, request: Request, kind: str, pk: str) -> Response:
        if kind not in KINDS:
            raise NotFound("Not found.")
        resource, rows, follow = KINDS[kind]
        row = visible_or_404(request.user, resource, rows(), pk=row_id(pk))
        found = trace.shown(follow(row.pk), request.user)
        return answer(TraceShape({"trace_id": row.trace_id, **found}).data)
