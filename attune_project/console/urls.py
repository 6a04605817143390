"""Routes that look across everything: health."""

from django.urls import path

from attune_project.console.health import DetailedView, HealthRootView, LiveView, ReadyView

urlpatterns = [
    path("health", HealthRootView.as_view()),
    path("health/live", LiveView.as_view()),
    path("health/ready", ReadyView.as_view()),
    path("health/detailed", DetailedView.as_view()),
]
