"""Routes of actions and executions, under /api/v1."""

from django.urls import include, path

from attune_project.rest.router import Router
from executions.api.actions import ActionsOfPack, ActionViews
from executions.api.artifact_stream import ArtifactStream
from executions.api.artifacts import ArtifactsOfExecution, ArtifactViews
from executions.api.executing import ExecuteView
from executions.api.executions import ExecutionViews
from executions.api.history import ExecutionHistory
from executions.api.logs import LogStream, LogText
from executions.api.policies import PolicyViews, QueueStatsView
from executions.api.stream import ExecutionStream

router = Router()
router.register("actions", ActionViews)
router.register("artifacts", ArtifactViews)
router.register("executions", ExecutionViews)
router.register("policies", PolicyViews)

urlpatterns = [
    path("packs/<str:ref>/actions", ActionsOfPack.as_view({"get": "list"})),
    path("artifacts/<str:pk>/stream", ArtifactStream.as_view()),
    path("executions/<str:pk>/artifacts", ArtifactsOfExecution.as_view({"get": "list"})),
    path("executions/execute", ExecuteView.as_view()),
    path("executions/stream", ExecutionStream.as_view()),
    path("executions/<str:pk>/history", ExecutionHistory.as_view()),
    path("executions/<str:pk>/logs/<str:stream>", LogText.as_view()),
    path("executions/<str:pk>/logs/<str:stream>/stream", LogStream.as_view()),
    path("actions/<str:ref>/queue-stats", QueueStatsView.as_view()),
    path("", include(router.urls)),
]
