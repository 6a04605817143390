"""The door for other people's events: `POST /webhooks/{key}`, open to whoever knows the key."""

import json
from collections.abc import Mapping
from typing import Any

import structlog
from django.http import HttpRequest
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound, PermissionDenied
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
from sensors.recording import EventRefused, Known, KnownTrigger, NewEvent, record_event

log = structlog.get_logger(__name__)
SOURCE_REF = "webhook"
DEDUP_HEADERS = ("Idempotency-Key", "X-GitHub-Delivery", "X-Webhook-Id")
# A sender's key must not be able to stand for one of another source, such as a timer's slot.
DEDUP_PREFIX = "webhook:"
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
        """Record what is sent. The checks stand in the contract's order; each that fails closes."""
        received_at = timezone.now()
        trigger, config = webhook_of(key)
        body = guarded_body(trigger.ref, config, request._request)
        payload, extras = unwrapped(document(body))
        event = NewEvent(
            trigger.ref,
            payload=payload,
            config=extras or None,
            source_ref=SOURCE_REF,
            dedup_key=dedup_key(request.headers),
            trace_id=current_trace_id(),
        )
        try:
            recorded = record_event(event, Known({trigger.ref: trigger}))
        except EventRefused as refused:
            raise as_refusal(refused) from None
        fault("webhook.before_answer")
        told = {
            "event_id": recorded.id,
            "trigger_ref": trigger.ref,
            "received_at": received_at.strftime(api_settings.DATETIME_FORMAT),
            "message": "Webhook received successfully",
            **({"duplicate": True} if recorded.duplicate else {}),
        }
        return answer(told)


_WEBHOOK = """
SELECT id, ref, enabled, out_schema, webhook_config FROM trigger
WHERE webhook_key = %s::text AND enabled AND webhook_enabled
"""


def webhook_of(key: str) -> tuple[KnownTrigger, Any]:
    """Return the trigger whose webhook and self are enabled, and the webhook's settings."""
    rows = [] if "\x00" in key else rows_of(_WEBHOOK, [key])
    if not rows:  # any other is as good as absent
        raise NotFound("Not found.")
    *trigger, config = rows[0]
    return KnownTrigger(*trigger), json.loads(config)


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
