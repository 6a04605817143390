"""Routes of triggers, sensors, events and webhooks, under /api/v1."""

from django.urls import include, path

from attune_project.rest.router import Router
from sensors.api.events import EventViews
from sensors.api.sensors import SensorsOfPack, SensorsOfTrigger, SensorViews
from sensors.api.triggers import TriggersOfPack, TriggerViews
from sensors.api.webhooks import WebhookView

router = Router()
router.register("events", EventViews)
router.register("triggers", TriggerViews)
router.register("sensors", SensorViews)

urlpatterns = [
    path("packs/<str:ref>/triggers", TriggersOfPack.as_view({"get": "list"})),
    path("packs/<str:ref>/sensors", SensorsOfPack.as_view({"get": "list"})),
    path("triggers/<str:ref>/sensors", SensorsOfTrigger.as_view({"get": "list"})),
    path("webhooks/<str:key>", WebhookView.as_view()),
    path("", include(router.urls)),
]
