"""Dead letters in the API: filters, shapes, bodies."""

from typing import Any

import django_filters
from django import forms
from django.db.models import QuerySet
from django.http import QueryDict
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from attune_project.messaging.models import DeadLetter
from attune_project.messaging.models.dead_letter import OPEN
from attune_project.messaging.redriving import Outcome, Plan
from attune_project.rest.errors import Unprocessable
from attune_project.rest.filters import AnyOf, Ids, Moment, RowFilters, Texts
from attune_project.rest.serializers import Flag, Map, RowSerializer, Text

STATUSES = ("open", "requeued", "discarded")
MOST_TOLD = 100
LONGEST_REASON = 2000


@extend_schema_field({"type": "string", "enum": list(STATUSES)})
class OfStatus(AnyOf):
    """`open`, `requeued` or `discarded`."""

    def filter(self, qs: QuerySet[Any], value: list[str]) -> QuerySet[Any]:
        wanted = {
            "open": qs.filter(OPEN),
            "requeued": qs.filter(requeued_at__isnull=False),
            "discarded": qs.filter(discarded_at__isnull=False),
        }
        found = qs.none() if value else qs
        for one in value:
            found = found | wanted[one]
        return found


class DeadLetterFilters(RowFilters):
    id = Ids("id")
    status = OfStatus("status", kind=forms.ChoiceField(choices=[(one, one) for one in STATUSES]))
    queue = Texts("queue")
    exchange = Texts("exchange")
    routing_key = Texts("routing_key")
    reason = Texts("reason")
    step = Texts("step")
    row_id = Ids("row_id")
    message_id = Texts("message_id")
    trace_id = django_filters.UUIDFilter("trace_id")
    last_seen_after = Moment("last_seen_at", lookup_expr="gt")
    last_seen_before = Moment("last_seen_at", lookup_expr="lt")


class DeadLetterShape(RowSerializer):
    status = serializers.ChoiceField(STATUSES, read_only=True)
    closed_by = serializers.IntegerField(source="closed_by_id", allow_null=True, read_only=True)

    class Meta:
        model = DeadLetter
        fields = (
            "id", "status", "message_id", "queue", "exchange", "routing_key", "reason", "detail", "body",
            "headers", "properties", "trace_id", "step", "row_id", "deaths", "first_seen_at", "last_seen_at",
            "requeued_at", "discarded_at", "closed_by", "closed_by_login", "closed_reason", "created",
            "updated",
        )  # fmt: skip


class DeadLetterLine(DeadLetterShape):
    class Meta(DeadLetterShape.Meta):
        fields: tuple[str, ...] = tuple(  # type: ignore[assignment]
            name for name in DeadLetterShape.Meta.fields
            if name not in ("detail", "body", "headers", "properties")
        )  # fmt: skip


class PlanShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    outcome = serializers.ChoiceField(Outcome.choices)
    text = serializers.CharField()


class PlansShape(serializers.Serializer[Any]):
    """`counts` is of all, by outcome; `items` are the first 100."""

    total = serializers.IntegerField()
    counts = serializers.DictField(child=serializers.IntegerField())
    items = PlanShape(many=True)


class WhyBody(serializers.Serializer[Any]):
    reason = Text(required=False, allow_null=True, max_length=LONGEST_REASON)


class BulkBody(WhyBody):
    """`filter` is as the list's query string: an empty one is refused, unless `all` is true."""

    filter = Map(required=False)
    all = Flag(required=False)


def plans_of(plans: list[Plan]) -> dict[str, Any]:
    counts = {outcome.value: sum(plan.outcome == outcome for plan in plans) for outcome in Outcome}
    shape = {
        "total": len(plans),
        "counts": {name: count for name, count in counts.items() if count},
        "items": plans[:MOST_TOLD],
    }
    return dict(PlansShape(shape).data)


def filtered(queryset: QuerySet[DeadLetter], given: dict[str, Any]) -> QuerySet[DeadLetter]:
    """Return the rows of a body's filter; raises 422 for what the list doesn't know."""
    unknown = set(given) - set(DeadLetterFilters.base_filters)
    if unknown:
        raise Unprocessable({f"filter.{min(unknown)}": ["This list knows no such filter."]})
    query = QueryDict(mutable=True)
    for name, value in given.items():
        query.setlist(name, [str(one) for one in value] if isinstance(value, list) else [str(value)])
    found = DeadLetterFilters(query, queryset=queryset)
    if not found.is_valid():
        raise Unprocessable({f"filter.{name}": list(texts) for name, texts in found.errors.items()})
    return found.qs  # type: ignore[no-any-return]
