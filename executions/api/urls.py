"""Routes of actions and executions, under /api/v1."""

from django.urls import include, path

from attune_project.rest.router import Router
from executions.api.actions import ActionsOfPack, ActionViews
from executions.api.executing import ExecuteView
from executions.api.executions import ExecutionViews
from executions.api.policies import PolicyViews, QueueStatsView

router = Router()
router.register("actions", ActionViews)
router.register("executions", ExecutionViews)
router.register("policies", PolicyViews)

urlpatterns = [
    path("packs/<str:ref>/actions", ActionsOfPack.as_view({"get": "list"})),
    path("executions/execute", ExecuteView.as_view()),
    path("actions/<str:ref>/queue-stats", QueueStatsView.as_view()),
    path("", include(router.urls)),
]
