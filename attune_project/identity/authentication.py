"""Who sends a request: a bearer token, or the session of a browser."""

from rest_framework.authentication import BaseAuthentication, SessionAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from attune_project.rest.errors import CHALLENGE

from .models import Identity
from .tokens import bearer


class BearerAuthentication(BaseAuthentication):
    def authenticate(self, request: Request) -> tuple[Identity, str] | None:
        scheme, *rest = get_authorization_header(request).split() or [b""]
        if scheme.lower() != b"bearer":
            return None
        if len(rest) != 1:
            raise AuthenticationFailed("Expected: Authorization: Bearer <token>")
        token = rest[0].decode("latin-1")
        return bearer(token), token

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE


class BrowserSessionAuthentication(SessionAuthentication):
    """The session of the admin's login, with CSRF, for the browsable API."""
