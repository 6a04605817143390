"""The door for other people's events: `POST /webhooks/{key}`, open to whoever knows the key."""

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from django.db import DataError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import APIException, NotFound, PermissionDenied
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings

from attune_project.faults import fault
from attune_project.rest.access import OPEN
from attune_project.rest.errors import BadRequest, PayloadTooLarge
from attune_project.rest.parsers import document
from attune_project.rest.trace import current_trace_id
from attune_project.rest.views import View, answer
from attune_project.statements import rows_of
from sensors import webhook_config
from sensors.api.events import LONGEST_KEY
from sensors.api.refusals import as_http
from sensors.recording import (
    EventRefused,
    Known,
    KnownTrigger,
    NewEvent,
    Recorded,
    record_event,
    record_events,
)

log = structlog.get_logger(__name__)
SOURCE_REF = "webhook"
DEDUP_HEADERS = ("Idempotency-Key", "X-GitHub-Delivery", "X-Webhook-Id")
# A sender's key must not be able to stand for one of another source, such as a timer's slot.
DEDUP_PREFIX = "webhook:"
WEBHOOK_PATH = re.compile("/api/v1/webhooks/[^/]+")
EXTRAS = ("headers", "source_ip", "user_agent")


class Received(serializers.Serializer[Any]):
    event_id = serializers.IntegerField()
    trigger_ref = serializers.CharField()
    received_at = serializers.DateTimeField()
    message = serializers.CharField()
    duplicate = serializers.BooleanField(required=False)


class WebhookView(View):
    permission = OPEN
    renderer_classes = [JSONRenderer]

    @extend_schema(request=OpenApiTypes.ANY, responses=Received, operation_id="webhooks_receive")
    def post(self, request: Request, key: str) -> Response:
        """Record what is sent."""
        received_at = timezone.now()
        webhook = webhooks_of([key]).get(key)
        if webhook is None:
            raise NotFound("Not found.")
        event = event_of(request._request, webhook, current_trace_id())
        try:
            recorded = record_event(event, Known({event.trigger_ref: webhook.trigger}))
        except EventRefused as refused:
            raise as_refusal(refused) from None
        fault("webhook.before_answer")
        return answer(told(event, recorded, received_at))


class WebhookDoor:
    """Takes webhooks that come at the same time together: read by one statement, stored by another.

    One that is refused is left to the view.
    """

    def opens(self, scope: Mapping[str, Any]) -> bool:
        plain = scope["method"] == "POST" and not scope["query_string"]
        return plain and WEBHOOK_PATH.fullmatch(scope["path"]) is not None

    def take(self, requests: Sequence[HttpRequest]) -> list[HttpResponse | None]:
        received_at = timezone.now()
        keys = [request.path_info.rpartition("/")[2] for request in requests]
        webhooks = webhooks_of(keys)
        events = [
            perhaps_event_of(request, webhooks.get(key)) for request, key in zip(requests, keys, strict=True)
        ]
        good = [event for event in events if event is not None]
        known = Known({webhook.trigger.ref: webhook.trigger for webhook in webhooks.values()})
        outcomes = iter(record_each(good, known))
        fault("webhook.before_answer")
        return [
            None if event is None else response_to(event, next(outcomes), received_at) for event in events
        ]


def perhaps_event_of(request: Any, webhook: "Webhook | None") -> NewEvent | None:
    try:
        return event_of(request, webhook, request.trace_id) if webhook else None
    except APIException:
        return None


def record_each(events: Sequence[NewEvent], known: Known) -> Sequence[Recorded | EventRefused]:
    """Store what can be stored together; refuse all when one of them breaks the statement for the others."""
    try:
        return record_events(events, known)
    except DataError as problem:
        return [EventRefused("VALIDATION_ERROR", str(problem))] * len(events)


def response_to(
    event: NewEvent, outcome: Recorded | EventRefused, received_at: datetime
) -> HttpResponse | None:
    """Return what the view would answer; None for a refusal."""
    if isinstance(outcome, EventRefused):
        return None
    body = JSONRenderer().render({"data": told(event, outcome, received_at)})
    return HttpResponse(body, content_type="application/json", headers={"Allow": "POST, OPTIONS"})


def told(event: NewEvent, recorded: Recorded, received_at: datetime) -> dict[str, Any]:
    return {
        "event_id": recorded.id,
        "trigger_ref": event.trigger_ref,
        "received_at": received_at.strftime(api_settings.DATETIME_FORMAT),
        "message": "Webhook received successfully",
        **({"duplicate": True} if recorded.duplicate else {}),
    }


def event_of(request: HttpRequest, webhook: "Webhook", trace_id: uuid.UUID) -> NewEvent:
    """Return what a webhook brings. The checks stand in the contract's order; each that fails closes."""
    ref = webhook.trigger.ref
    payload, extras = unwrapped(document(guarded_body(ref, webhook.config, request)))
    return NewEvent(
        ref,
        payload=payload,
        config=extras or None,
        source_ref=SOURCE_REF,
        dedup_key=dedup_key(request.headers),
        trace_id=trace_id,
    )


@dataclass(frozen=True)
class Webhook:
    """A webhook that is open: its trigger, and what it is guarded by."""

    trigger: KnownTrigger
    config: Any


_WEBHOOKS = """
SELECT webhook_key, id, ref, enabled, out_schema, webhook_config FROM trigger
WHERE webhook_key = ANY(%s::text[]) AND enabled AND webhook_enabled
"""


def webhooks_of(keys: Sequence[str]) -> dict[str, Webhook]:
    """Return the webhooks that are open, by key; any other is as good as absent."""
    rows = rows_of(_WEBHOOKS, [sorted({key for key in keys if "\x00" not in key})])
    return {key: Webhook(KnownTrigger(*trigger), json.loads(config)) for key, *trigger, config in rows}


def guarded_body(trigger_ref: str, config: Any, request: HttpRequest) -> bytes:
    """Return the raw body once every guard has let it pass."""
    try:
        body = limited_body(request, webhook_config.size_limit(config))
        webhook_config.refuse_unbuilt(config)
    except webhook_config.Closed as closed:
        log.error("webhook refuses everything", trigger_ref=trigger_ref, reason=str(closed))
        raise PermissionDenied("This webhook is closed: one of its guards can't be applied.") from None
    return body


def limited_body(request: HttpRequest, limit: int) -> bytes:
    """Read no more than the limit, whatever the length that was announced."""
    body: bytes = request.read(limit + 1)
    if len(body) > limit:
        raise PayloadTooLarge(f"The body is larger than {limit // 1024} KiB.")
    return body


def unwrapped(value: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the payload, and what a relay said beside it, which is information only."""
    extras: dict[str, Any] = {}
    if isinstance(value, dict) and "payload" in value and value.keys() <= {"payload", *EXTRAS}:
        extras = {name: value[name] for name in EXTRAS if name in value}
        value = value["payload"]
    return (value if isinstance(value, dict) else {"body": value}), extras


def dedup_key(headers: Mapping[str, str]) -> str | None:
    """Return the sender's own id of what it sends, by the first header that has one."""
    for name in DEDUP_HEADERS:
        value = headers.get(name, "").strip()
        if len(value) > LONGEST_KEY:
            raise BadRequest(f"{name}: at most {LONGEST_KEY} characters")
        if value:
            return DEDUP_PREFIX + value
    return None


def as_refusal(refused: EventRefused) -> Exception:
    """A trigger that went off in between is absent, as it is for the next request."""
    return NotFound("Not found.") if refused.code in ("NOT_FOUND", "CONFLICT") else as_http(refused)
