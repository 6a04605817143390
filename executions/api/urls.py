"""Routes of actions and executions, under /api/v1."""

from django.urls import include, path

from attune_project.rest.router import Router
from executions.api.executing import ExecuteView
from executions.api.executions import ExecutionViews

router = Router()
router.register("executions", ExecutionViews)

urlpatterns = [
    path("executions/execute", ExecuteView.as_view()),
    path("", include(router.urls)),
]
