"""Fixtures of every test."""

from collections.abc import Callable

import pytest
from rest_framework.test import APIClient

from attune_project.identity.models import Identity, PermissionAssignment, PermissionSet
from attune_project.identity.tokens import issue_access


@pytest.fixture
def administrator(db: None) -> Identity:
    return Identity.objects.create_superuser("root", "the password")


@pytest.fixture
def nobody(db: None) -> Identity:
    """An identity without a permission set."""
    return Identity.objects.create_user("nobody", "the password")


@pytest.fixture
def identity_with(db: None) -> Callable[..., Identity]:
    """Make an identity with these grants: `identity_with({"resource": ..., "actions": [...]})`."""

    def make(*grants: dict, login: str = "someone") -> Identity:
        identity = Identity.objects.create_user(login, "the password")
        permset = PermissionSet.objects.create(ref=f"test.{login}", grants=list(grants))
        PermissionAssignment.objects.create(identity=identity, permset=permset)
        return identity

    return make


@pytest.fixture
def client_of() -> Callable[[Identity], APIClient]:
    """Return a client that sends the identity's bearer token."""

    def make(identity: Identity) -> APIClient:
        client = APIClient(raise_request_exception=False)
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {issue_access(identity)}")
        return client

    return make


@pytest.fixture
def api(administrator: Identity, client_of: Callable[[Identity], APIClient]) -> APIClient:
    """A client of the first administrator."""
    return client_of(administrator)


@pytest.fixture
def stranger() -> APIClient:
    """A client without credentials."""
    return APIClient(raise_request_exception=False)
