"""Routes of packs, runtimes and workers, under /api/v1."""

from django.urls import include, path

from attune_project.rest.router import Router

from .views import PackRuntimes, PackViews, RegisterView, RuntimeViews, UploadView, WorkerViews

router = Router()
router.register("packs", PackViews)
router.register("runtimes", RuntimeViews)
router.register("workers", WorkerViews)

urlpatterns = [
    path("packs/upload", UploadView.as_view()),
    path("packs/register", RegisterView.as_view()),
    path("packs/<str:ref>/runtimes", PackRuntimes.as_view({"get": "list"})),
    path("", include(router.urls)),
]
