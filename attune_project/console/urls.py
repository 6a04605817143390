"""Routes that look across everything: health, metrics, traces, dead letters, how long history is kept."""

from django.urls import include, path

from attune_project.console.dead_letter_views import DeadLetterViews
from attune_project.console.health import DetailedView, HealthRootView, LiveView, ReadyView
from attune_project.console.metrics import MetricsView
from attune_project.console.retention_views import RetentionView
from attune_project.console.trace_views import TraceView
from attune_project.rest.router import Router

router = Router()
router.register("dead-letters", DeadLetterViews)

urlpatterns = [
    path("health", HealthRootView.as_view()),
    path("health/live", LiveView.as_view()),
    path("health/ready", ReadyView.as_view()),
    path("health/detailed", DetailedView.as_view()),
    path("metrics", MetricsView.as_view()),
    path("api/v1/", include(router.urls)),
    path("api/v1/retention-config", RetentionView.as_view()),
    path("api/v1/trace/<str:kind>/<str:pk>", TraceView.as_view()),
]
