"""Routes of authentication, identities and permissions."""

from django.urls import include, path

from attune_project.rest.router import Router

from . import identity_views as views
from .keys.views import KeyViews
from .views import LoginView, MeView, RefreshView, RegisterView

router = Router()
router.register("identities", views.IdentityViews, basename="identity")
router.register("keys", KeyViews, basename="key")
router.register("permissions/sets", views.PermissionSetViews, basename="permission-set")

administration = [
    path("identities/roles/<str:id>", views.RoleOfIdentity.as_view()),
    path("identities/<str:id>/roles", views.RolesOfIdentity.as_view()),
    path("identities/<str:id>/permissions", views.PermissionsOfIdentity.as_view()),
    path("permissions/sets/roles/<str:id>", views.RoleOfPermissionSet.as_view()),
    path("permissions/sets/<str:id>/roles", views.RolesOfPermissionSet.as_view()),
    path("permissions/assignments", views.AssignmentsView.as_view()),
    path("permissions/assignments/<str:id>", views.AssignmentView.as_view()),
    *router.urls,
]

urlpatterns = [
    path("auth/login", LoginView.as_view()),
    path("auth/refresh", RefreshView.as_view()),
    path("auth/register", RegisterView.as_view()),
    path("auth/me", MeView.as_view()),
    path("api/v1/", include(administration)),
]
