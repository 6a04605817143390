"""Sessions of the admin and the browsable API: the same login as the API's."""

from typing import Any

from django.contrib.auth.backends import BaseBackend
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from rest_framework.exceptions import APIException

from attune_project.rest.address import client_address

from .logins import log_in
from .models import Identity


class IdentityBackend(BaseBackend):
    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **other: Any,
    ) -> Identity | None:
        """Ask the one login verb; Django's forms show any refusal as a wrong login."""
        if username is None or password is None or "\x00" in username + password:
            return None
        try:
            return log_in(username, password, client_address(request) if request else "")
        except APIException as refusal:
            raise PermissionDenied(str(refusal.detail)) from None

    def get_user(self, user_id: int) -> Identity | None:
        """Return the identity of a session; a frozen one's sessions end at once."""
        return Identity.objects.filter(pk=user_id, frozen=False).first()
