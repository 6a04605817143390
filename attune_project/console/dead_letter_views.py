"""`/dead-letters`: what was given up on, and what people do about it."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from attune_project.console.dead_letter_shapes import (
    BulkBody,
    DeadLetterFilters,
    DeadLetterLine,
    DeadLetterShape,
    PlanShape,
    PlansShape,
    WhyBody,
    filtered,
    plans_of,
)
from attune_project.identity.models import Identity
from attune_project.messaging import redriving
from attune_project.messaging.models import DeadLetter
from attune_project.messaging.models.dead_letter import OPEN
from attune_project.messaging.redriving import Actor, Outcome
from attune_project.rest.errors import Conflict, Unprocessable
from attune_project.rest.views import Listed, RowViewSet, Shown, answer, as_map

MOST_AT_ONCE = 10_000


class DeadLetterViews(Listed, Shown, RowViewSet):
    queryset = DeadLetter.objects.all()
    resource = "workers"
    permission_map = {
        "preview": "read", "preview_one": "read", "requeue": "manage", "requeue_many": "manage",
        "discard": "manage", "discard_many": "manage",
    }  # fmt: skip
    serializer_class = DeadLetterShape
    list_serializer_class = DeadLetterLine
    filterset_class = DeadLetterFilters
    lookup_field = "id"
    ordering_fields = ("created", "last_seen_at", "deaths", "id")

    @extend_schema(responses=PlanShape, operation_id="dead_letters_preview_one")
    @action(methods=["get"], detail=True, url_path="preview")
    def preview_one(self, request: Request, id: str) -> Response:
        """Say what would become of it if it were re-driven now."""
        (plan,) = redriving.preview([self.get_object()])
        return answer(PlanShape(plan).data)

    @extend_schema(request=WhyBody, responses=DeadLetterShape)
    @action(methods=["post"], detail=True)
    def requeue(self, request: Request, id: str) -> Response:
        """Re-drive it. Repeating this changes nothing; 409 for one that was discarded."""
        row = self.get_object()
        (plan,) = redriving.redrive([row.pk], caller(request), why(request))
        row.refresh_from_db()
        if row.discarded_at is not None:
            raise Conflict(plan.text)
        if plan.outcome == Outcome.IMPOSSIBLE:
            raise Unprocessable({"id": [plan.text]})
        return self.show(row, message=plan.text)

    @extend_schema(request=WhyBody, responses=DeadLetterShape)
    @action(methods=["post"], detail=True)
    def discard(self, request: Request, id: str) -> Response:
        """Close it and do nothing. Repeating this changes nothing; 409 for one that was re-driven."""
        row = self.get_object()
        redriving.discard([row.pk], caller(request), why(request))
        row.refresh_from_db()
        if row.requeued_at is not None:
            raise Conflict("It has been re-driven already.")
        return self.show(row)

    @extend_schema(request=BulkBody, responses=PlansShape, operation_id="dead_letters_preview")
    @action(methods=["post"], detail=False)
    def preview(self, request: Request) -> Response:
        """Say what would become of all that a filter finds, if they were re-driven now."""
        return answer(plans_of(redriving.preview(self._chosen(request))))

    @extend_schema(request=BulkBody, responses=PlansShape, operation_id="dead_letters_requeue_many")
    @action(methods=["post"], detail=False, url_path="requeue")
    def requeue_many(self, request: Request) -> Response:
        ids = [row.pk for row in self._chosen(request)]
        return answer(plans_of(redriving.redrive(ids, caller(request), why(request))))

    @extend_schema(request=BulkBody, responses=PlansShape, operation_id="dead_letters_discard_many")
    @action(methods=["post"], detail=False, url_path="discard")
    def discard_many(self, request: Request) -> Response:
        ids = [row.pk for row in self._chosen(request)]
        closed = redriving.discard(ids, caller(request), why(request))
        return answer(plans_of(redriving.preview(DeadLetter.objects.filter(pk__in=closed).order_by("pk"))))

    def _chosen(self, request: Request) -> Any:
        """Return the open letters that the body's filter finds, at most MOST_AT_ONCE, oldest first."""
        body = BulkBody(data=as_map(request.data))
        body.is_valid(raise_exception=True)
        given = body.validated_data.get("filter") or {}
        if not given and not body.validated_data.get("all"):
            raise Unprocessable({"filter": ["Name a filter, or say all: true."]})
        return filtered(self.get_visible().filter(OPEN), given).order_by("pk")[:MOST_AT_ONCE]


def why(request: Request) -> str | None:
    body = WhyBody(data=as_map(request.data or {}))
    body.is_valid(raise_exception=True)
    return body.validated_data.get("reason") or None


def caller(request: Request) -> Actor:
    assert isinstance(request.user, Identity)
    return Actor(request.user.login, request.user.pk)
