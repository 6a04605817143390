"""GET /metrics: Prometheus' text, for whoever asks from this machine or with a token."""

from collections.abc import Iterable
from ipaddress import ip_address

import prometheus_client
import structlog
from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import extend_schema
from prometheus_client.core import CollectorRegistry, GaugeMetricFamily, Metric
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from attune_project.console import metrics_matching, metrics_messages, metrics_pipeline, metrics_retention
from attune_project.console.bounded import Bounded
from attune_project.rest.views import View

log = structlog.get_logger(__name__)
PATIENCE = 5.0
FORWARDED = ("X-Forwarded-For", "X-Real-Ip", "Forwarded")


def gather() -> list[Metric]:
    """Return every metric of our own; raises when the database is away."""
    parts = (metrics_messages, metrics_pipeline, metrics_matching, metrics_retention)
    return [family for part in parts for family in part.families()]


gathered = Bounded(gather, keep=1.0, patience=PATIENCE)


class Collector:
    """What Attune says beside django_prometheus' metrics of HTTP."""

    def collect(self) -> Iterable[Metric]:
        """Return all metrics; without the database only that it is away, rather than none at all."""
        up = GaugeMetricFamily("attune_database_up", "Whether the database answered in time.")
        try:
            found = gathered.get()
        except Exception as problem:  # whatever it is, the scrape must say so and go on
            log.warning("metrics not worked out", error=f"{type(problem).__name__}: {problem}".strip())
            up.add_metric([], 0)
            return [up]
        up.add_metric([], 1)
        return [up, *found]

    def describe(self) -> Iterable[Metric]:
        return []


registry = CollectorRegistry()
registry.register(Collector())


def is_local(request: HttpRequest) -> bool:
    """Tell whether a request comes from this machine itself, and not through a proxy on it."""
    if any(name in request.headers for name in FORWARDED):
        return False
    try:
        return ip_address(str(request.META.get("REMOTE_ADDR", ""))).is_loopback
    except ValueError:
        return False


class MetricsView(View):
    resource = "workers"
    permission_map = {"get": "read"}

    def get_authenticators(self) -> list[BaseAuthentication]:
        described = self.request is None  # the OpenAPI document is being made
        return super().get_authenticators() if described or not is_local(self.request) else []

    def check_permissions(self, request: Request) -> None:
        if not is_local(request):
            super().check_permissions(request)

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        page = prometheus_client.generate_latest(prometheus_client.REGISTRY)
        page += prometheus_client.generate_latest(registry)
        return HttpResponse(page, content_type=prometheus_client.CONTENT_TYPE_LATEST)
