"""Routes of rules, enforcements and evaluations, under /api/v1."""

from django.urls import include, path

from attune_project.rest.router import Router
from rules.api.enforcements import EnforcementViews, ExecutionsOfEnforcement
from rules.api.evaluations import EvaluateView, EvaluationsOfEvent
from rules.api.rules import RulesOfAction, RulesOfPack, RulesOfTrigger, RuleViews

router = Router()
router.register("rules", RuleViews)
router.register("enforcements", EnforcementViews)

evaluations = EvaluationsOfEvent.as_view({"get": "evaluations"}, detail=True)

urlpatterns = [
    path("rules/evaluate", EvaluateView.as_view()),
    path("events/<str:pk>/evaluations", evaluations),
    path("enforcements/<str:pk>/executions", ExecutionsOfEnforcement.as_view({"get": "list"})),
    path("actions/<str:ref>/rules", RulesOfAction.as_view({"get": "list"})),
    path("triggers/<str:ref>/rules", RulesOfTrigger.as_view({"get": "list"})),
    path("packs/<str:ref>/rules", RulesOfPack.as_view({"get": "list"})),
    path("", include(router.urls)),
]
