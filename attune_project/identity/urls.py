"""Routes of authentication."""

from django.urls import path

from .views import LoginView, MeView, RefreshView

urlpatterns = [
    path("auth/login", LoginView.as_view()),
    path("auth/refresh", RefreshView.as_view()),
    path("auth/me", MeView.as_view()),
]
