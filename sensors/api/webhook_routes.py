"""The routes by which a trigger's webhook is opened, closed and set."""

from collections.abc import Callable
from typing import Any

from django.db import transaction
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from attune_project.packs.contents import locked_or_404
from attune_project.rest.changes import put_changes
from attune_project.rest.errors import BadRequest, Unprocessable
from attune_project.rest.serializers import Map, Number
from attune_project.rest.views import answer, as_map
from sensors import changes, webhook_config
from sensors.models import Trigger


class WebhookConfig(serializers.Serializer[Any]):
    """How a webhook is guarded. Only `payload_size_limit_kb` is built; the others can't be enabled yet."""

    hmac = Map(required=False)
    timestamp = Map(required=False)
    ip_whitelist = Map(required=False)
    rate_limit = Map(required=False)
    payload_size_limit_kb = Number(required=False)


class WebhookRoutes:
    """Mix into the views of triggers."""

    rights = {
        "enable_webhook": "update",
        "disable_webhook": "update",
        "regenerate_webhook": "update",
        "webhook_config": "update",
        "change_webhook_config": "update",
    }

    @extend_schema(request=None)
    @action(methods=["post"], detail=True, url_path="webhooks/enable")
    def enable_webhook(self, request: Request, ref: str) -> Response:
        return self._change_webhook(changes.enable_webhook)

    @extend_schema(request=None)
    @action(methods=["post"], detail=True, url_path="webhooks/disable")
    def disable_webhook(self, request: Request, ref: str) -> Response:
        return self._change_webhook(changes.disable_webhook)

    @extend_schema(request=None)
    @action(methods=["post"], detail=True, url_path="webhooks/regenerate")
    def regenerate_webhook(self, request: Request, ref: str) -> Response:
        return self._change_webhook(regenerated)

    @extend_schema(responses=WebhookConfig)
    @action(detail=True, url_path="webhooks/config")
    def webhook_config(self: Any, request: Request, ref: str) -> Response:
        return answer(webhook_config.shown(self.get_object().webhook_config))

    @extend_schema(request=OpenApiTypes.OBJECT, responses=WebhookConfig)
    @webhook_config.mapping.put
    def change_webhook_config(self: Any, request: Request, ref: str) -> Response:
        seen = self.get_object()
        given = put_changes(as_map(request.data), set(WebhookConfig().fields))
        problems = webhook_config.problems(given)
        if problems:
            raise Unprocessable(problems)
        with transaction.atomic():
            trigger = locked_or_404(seen)
            trigger.webhook_config = webhook_config.changed(trigger.webhook_config, given)
            trigger.save(update_fields=["webhook_config"])
        return answer(webhook_config.shown(trigger.webhook_config))

    def _change_webhook(self: Any, change: Callable[[Trigger], Trigger]) -> Response:
        seen = self.get_object()
        with transaction.atomic():
            trigger = change(locked_or_404(seen))
        response: Response = self.show(trigger)
        return response


def regenerated(trigger: Trigger) -> Trigger:
    if not trigger.webhook_enabled:
        raise BadRequest(f"The webhook of {trigger.ref} isn't enabled; enable it first.")
    return changes.regenerate_webhook_key(trigger)


def webhook_path(key: str | None) -> str | None:
    """Return where a webhook is posted to."""
    return key and f"/api/v1/webhooks/{key}"
