"""Every route of Attune: each app brings its own."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("attune_project.identity.urls")),
    path("admin/", admin.site.urls),
]
