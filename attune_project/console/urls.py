"""Routes that look across everything: health, metrics."""

from django.urls import path

from attune_project.console.health import DetailedView, HealthRootView, LiveView, ReadyView
from attune_project.console.metrics import MetricsView

urlpatterns = [
    path("health", HealthRootView.as_view()),
    path("health/live", LiveView.as_view()),
    path("health/ready", ReadyView.as_view()),
    path("health/detailed", DetailedView.as_view()),
    path("metrics", MetricsView.as_view()),
]
