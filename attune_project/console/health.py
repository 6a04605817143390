"""Routes that say how the product is: open to everybody, quick whatever else is away, never a 500."""

from typing import Any

import structlog
from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from attune_project.console import broker_state, checks, readiness
from attune_project.console.bounded import Bounded
from attune_project.console.checks import Check
from attune_project.console.serializers import Detailed, Plain
from attune_project.rest.access import OPEN
from attune_project.rest.views import View

log = structlog.get_logger(__name__)
PATIENCE = 1.5  # a probe of an orchestrator waits for a second or two

missing = Bounded(readiness.missing_migrations, keep=0.5, patience=PATIENCE)
worked_out = Bounded(checks.work_out, keep=1.0, patience=PATIENCE * 2)


class HealthView(View):
    permission = OPEN
    enveloped = False
    renderer_classes = [JSONRenderer]


class LiveView(HealthView):
    """The process answers."""

    @extend_schema(responses=Plain, operation_id="health_live")
    def get(self, request: Request) -> Response:
        return Response({"status": "ok"})


class HealthRootView(LiveView):
    @extend_schema(responses=Plain, operation_id="health")
    def get(self, request: Request) -> Response:
        return super().get(request)


class ReadyView(HealthView):
    """The database answers and is migrated; a broker that is away delays work but refuses none."""

    @extend_schema(responses={200: Plain, 503: Plain}, operation_id="health_ready")
    def get(self, request: Request) -> Response:
        reason = not_ready()
        if reason:
            return Response({"status": "unavailable", "reason": reason}, status=503)
        return Response({"status": "ok"})


class DetailedView(HealthView):
    @extend_schema(responses={200: Detailed, 503: Detailed}, operation_id="health_detailed")
    def get(self, request: Request) -> Response:
        found = look()
        broker_away = broker_state.watch.state().error is not None
        bad = found is None or broker_away or not all(one.ok for one in found)
        body = {
            "status": "degraded" if bad else "ok",
            "version": settings.VERSION,
            "database": "unreachable" if found is None else "connected",
            "broker": "unreachable" if broker_away else "connected",
            "checks": {one.name: shown(one) for one in found or []},
        }
        return Response(body, status=503 if bad else 200)


def shown(one: Check) -> dict[str, Any]:
    status = {"status": "ok" if one.ok else "red"}
    return {**status, "reason": one.reason} if one.reason else status


def not_ready() -> str | None:
    """Return why this process can't serve requests, without the inner detail (which is logged)."""
    try:
        names = missing.get()
    except Exception as problem:  # whatever it is, the answer is the same
        log.warning("not ready", error=f"{type(problem).__name__}: {problem}".strip())
        return "The database does not answer."
    if names:
        return f"The database lacks {len(names)} migrations ({names[0]}): run manage.py migrate."
    return None


def look() -> list[Check] | None:
    """Return every check; None when the database doesn't answer in time."""
    try:
        return worked_out.get()
    except Exception as problem:  # see above
        log.warning("health not worked out", error=f"{type(problem).__name__}: {problem}".strip())
        return None
