import pytest
from django.urls import path

from attune_project.identity.checks import api_views, problems_of, views_declare_access
from attune_project.rest.access import AUTHENTICATED, OPEN
from attune_project.rest.views import Catalogue, View
from attune_project.urls import urlpatterns


def test_every_route_of_the_product_says_who_may_call_it():
    assert views_declare_access(None) == []
    assert {"auth/login", "auth/me"} <= {route for route, _, _ in api_views(urlpatterns)}


@pytest.mark.parametrize("access", [OPEN, AUTHENTICATED])
def test_open_and_authenticated_are_enough(access):
    view = type("Some", (View,), {"permission": access, "get": None})

    assert problems_of(view, {"actions": None}) == []


def test_a_resource_must_be_one_of_rbac():
    view = type("Some", (View,), {"resource": "kites", "get": None})

    assert problems_of(view, {"actions": None}) == ["the resource 'kites' isn't one of RBAC's"]


def test_each_method_needs_a_right():
    view = type(
        "Some", (View,), {"resource": "packs", "permission_map": {"get": "read"}, "get": None, "put": None}
    )

    assert problems_of(view, {"actions": None}) == ["put needs no right of RBAC"]


def test_each_action_of_a_set_needs_a_right():
    view = type("Some", (Catalogue,), {"resource": "rules"})

    assert problems_of(view, {"actions": {"get": "list", "post": "enable"}}) == [
        "enable needs no right of RBAC"
    ]


def test_a_route_without_a_word_is_an_error(settings):
    settings.ROOT_URLCONF = (path("silent", type("Silent", (View,), {"get": None}).as_view()),)

    assert [error.id for error in views_declare_access(None)] == ["identity.E001"]
