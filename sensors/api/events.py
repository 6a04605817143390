"""Events over HTTP: report them, one or many, and look at them."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import APIException, PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from attune_project.identity.models import Identity
from attune_project.identity.rbac import Caller, require
from attune_project.rest.errors import body_of
from attune_project.rest.filters import IdsOfNamed, RowFilters, Texts
from attune_project.rest.query import LARGEST
from attune_project.rest.serializers import Document, Map, RowSerializer, Text
from attune_project.rest.trace import current_trace_id
from attune_project.rest.views import Listed, RowViewSet, Shown, answer
from sensors.api.refusals import as_http
from sensors.models import Event
from sensors.recording import EventRefused, NewEvent, Recorded, record_event, record_events

MOST_EVENTS = 1000
# With its trigger's ref it must fit into one entry of a PostgreSQL index (2,704 bytes).
LONGEST_KEY = 512
OF_A_RULE = re.compile(r"rule_(\d{1,19})", re.ASCII)
SHOWN = (
    "id", "created", "updated", "trigger", "trigger_ref", "source", "source_ref", "rule", "rule_ref",
    "decided_at", "ruleset_revision", "trace_id",
)  # fmt: skip


class EventDetail(RowSerializer):
    class Meta:
        model = Event
        fields = (*SHOWN, "config", "payload")


class EventItem(RowSerializer):
    has_payload = serializers.BooleanField(read_only=True)

    class Meta:
        model = Event
        fields = (*SHOWN, "has_payload")


class EventBody(serializers.Serializer[Any]):
    """A new event. `trigger_type` is another name of `trigger_ref`."""

    trigger_ref = Text(max_length=255)
    payload = Document(required=False, allow_null=True)
    config = Map(required=False, allow_null=True)
    trigger_instance_id = Text(required=False, allow_null=True, help_text="rule_<id>: for that rule alone")
    dedup_key = Text(required=False, allow_null=True, max_length=LONGEST_KEY)

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping) and data.get("trigger_ref") is None and "trigger_type" in data:
            data = {**data, "trigger_ref": data["trigger_type"]}
        return super().to_internal_value(data)

    def validate_trigger_instance_id(self, value: str | None) -> int | None:
        found = OF_A_RULE.fullmatch(value or "")
        if value is not None and (found is None or int(found[1]) > LARGEST):
            raise serializers.ValidationError('Expected "rule_<id>", such as "rule_17".')
        return int(found[1]) if found else None


class ManyEventsBody(serializers.Serializer[Any]):
    events = EventBody(many=True)


# What became of each of many: an id, or an error with its code.
RECORDED = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "index": {"type": "integer"},
            "id": {"type": "integer"},
            "duplicate": {"type": "boolean"},
            "error": {"type": "string"},
            "code": {"type": "string"},
            "details": {"type": "object"},
        },
        "required": ["index"],
    },
}


class EventFilters(RowFilters):
    trigger = IdsOfNamed("trigger_id")
    trigger_ref = Texts("trigger_ref")
    rule = IdsOfNamed("rule_id")
    rule_ref = Texts("rule_ref")
    source = IdsOfNamed("source_id")
    source_ref = Texts("source_ref")


class EventViews(Listed, Shown, RowViewSet):
    queryset = Event.objects.all()
    resource = "events"
    permission_map = {"bulk": "create"}
    lookup_value_regex = "[0-9]+"
    serializer_class = EventDetail
    list_serializer_class = EventItem
    filterset_class = EventFilters
    ordering_fields = ("created", "id", "trigger_ref")

    def get_queryset(self) -> QuerySet[Event]:
        rows: QuerySet[Event] = super().get_queryset()
        if self.action != "list":
            return rows
        has_payload = ExpressionWrapper(Q(payload__isnull=False), BooleanField())
        return rows.only(*SHOWN).annotate(has_payload=has_payload)

    @extend_schema(request=EventBody, responses={201: EventDetail, 200: EventDetail})
    def create(self, request: Request) -> Response:
        event = Reading(request.user).event_of(request.data)
        try:
            recorded = record_event(event)
        except EventRefused as refused:
            raise as_http(refused) from None
        return self.show(Event.objects.get(pk=recorded.id), status=200 if recorded.duplicate else 201)

    @extend_schema(request=ManyEventsBody, responses={(201, "application/json"): RECORDED}, filters=False)
    @action(methods=["post"], detail=False, pagination_class=None)
    def bulk(self, request: Request) -> Response:
        """Record many; each stands alone, and the good ones are stored together."""
        read = Reading(request.user).each(members_of(request.data))
        outcomes = iter(record_events([event for event in read if isinstance(event, NewEvent)]))
        return answer(
            [
                {"index": index, **outcome_of(next(outcomes) if isinstance(one, NewEvent) else one)}
                for index, one in enumerate(read)
            ],
            status=201,
        )


class Reading:
    """One request's bodies of events: what they share is worked out once."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._trace_id = current_trace_id()
        self._body = EventBody()
        self._allowed: set[str] = set()

    def each(self, bodies: Iterable[Any]) -> list[NewEvent | APIException]:
        """Return the event of each body, or what refuses it."""
        return [self._event_or_refusal(body) for body in bodies]

    def event_of(self, body: Any) -> NewEvent:
        """Return what a body reports; raise what refuses it."""
        values = body if is_plain(body) else self._body.run_validation(body)
        trigger_ref: str = values["trigger_ref"]
        if trigger_ref not in self._allowed:
            require(self._caller, "events", "create", Event(trigger_ref=trigger_ref))
            refuse_foreign(self._caller, trigger_ref)
            self._allowed.add(trigger_ref)
        return NewEvent(
            trigger_ref,
            payload=values.get("payload"),
            config=values.get("config"),
            rule_id=values.get("trigger_instance_id"),
            dedup_key=values.get("dedup_key"),
            trace_id=self._trace_id,
        )

    def _event_or_refusal(self, body: Any) -> NewEvent | APIException:
        try:
            return self.event_of(body)
        except (ValidationError, PermissionDenied) as refusal:
            return refusal


PLAIN_KEYS = {"trigger_ref", "payload", "config", "dedup_key"}
PLAIN_REF = re.compile(r"[a-z0-9_.-]{1,255}")
PLAIN_KEY = re.compile(r"[\w.:/-]{1,512}", re.ASCII)


def is_plain(body: Any) -> bool:
    """Tell a body that EventBody would take as it is, as nearly all of a thousand are: it takes a while."""
    if not (isinstance(body, dict) and body.keys() <= PLAIN_KEYS):
        return False
    ref, key, config = body.get("trigger_ref"), body.get("dedup_key"), body.get("config")
    return (
        isinstance(ref, str)
        and PLAIN_REF.fullmatch(ref) is not None
        and (key is None or (isinstance(key, str) and PLAIN_KEY.fullmatch(key) is not None))
        and (config is None or isinstance(config, dict))
    )


def refuse_foreign(caller: Caller, trigger_ref: str) -> None:
    """Let a run report events of its own triggers only: those of its action's pack."""
    run = caller.run if isinstance(caller, Identity) else None
    if run and trigger_ref.partition(".")[0] != run.pack_ref:
        raise PermissionDenied("Permission denied: events:create")


def members_of(body: Any) -> list[Any]:
    members = body.get("events") if isinstance(body, dict) else None
    if not isinstance(members, list):
        raise ValidationError({"events": ["Expected a list of events."]})
    if len(members) > MOST_EVENTS:
        raise ValidationError({"events": [f"At most {MOST_EVENTS} at a time; these are {len(members)}."]})
    return members


def outcome_of(one: Recorded | EventRefused | APIException) -> dict[str, Any]:
    if isinstance(one, Recorded):
        return {"id": one.id, **({"duplicate": True} if one.duplicate else {})}
    return body_of(as_http(one) if isinstance(one, EventRefused) else one)
