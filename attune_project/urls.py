"""Every route of Attune: each app brings its own."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from attune_project.rest.openapi import Documentation, OpenApiDocument

handler400 = "attune_project.rest.errors.bad_request"
handler403 = "attune_project.rest.errors.forbidden"
handler404 = "attune_project.rest.errors.not_found"
handler500 = "attune_project.rest.errors.server_error"

# DRF's pages look for a login by these names; ours is the admin's.
sessions = [
    path("admin/login/", admin.site.login, name="login"),
    path("admin/logout/", admin.site.logout, name="logout"),
]

urlpatterns = [
    path("", RedirectView.as_view(url="/admin/")),
    path("", include("attune_project.console.urls")),
    path("", include("attune_project.identity.urls")),
    path("api/v1/", include("attune_project.packs.urls")),
    path("api/v1/", include("executions.api.urls")),
    path("api/v1/", include("sensors.api.urls")),
    path("api/v1/", include("rules.api.urls")),
    path("api-spec/openapi.json", OpenApiDocument.as_view(), name="openapi"),
    path("docs", Documentation.as_view(url_name="openapi")),
    path("", include((sessions, "rest_framework"))),
    path("admin", RedirectView.as_view(url="/admin/")),
    path("admin/", admin.site.urls),
]
