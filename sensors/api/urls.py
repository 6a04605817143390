"""Routes of triggers, sensors, events and webhooks, under /api/v1."""

from django.urls import include, path

from attune_project.rest.router import Router
from sensors.api.events import EventViews

router = Router()
router.register("events", EventViews)

urlpatterns = [path("", include(router.urls))]
