"""Routes of rules, enforcements and evaluations, under /api/v1."""

from django.urls import include, path

from attune_project.rest.router import Router
from rules.api.rules import RulesOfAction, RulesOfPack, RulesOfTrigger, RuleViews

router = Router()
router.register("rules", RuleViews)

urlpatterns = [
    path("actions/<str:ref>/rules", RulesOfAction.as_view({"get": "list"})),
    path("triggers/<str:ref>/rules", RulesOfTrigger.as_view({"get": "list"})),
    path("packs/<str:ref>/rules", RulesOfPack.as_view({"get": "list"})),
    path("", include(router.urls)),
]
