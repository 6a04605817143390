"""Whether who opened a stream may still read it: asked again while it lasts."""

from collections.abc import Callable
from importlib import import_module

from django.conf import settings
from django.contrib import auth
from django.http import HttpRequest
from rest_framework.exceptions import APIException
from rest_framework.request import Request

from .models import Identity
from .tokens import bearer

Look = Callable[[], Identity | None]


def look_again(request: Request) -> Look:
    """Return a function that reads the caller anew, with the rights of that moment.

    It returns None once the token has expired, the session has ended, or the identity is frozen or gone.
    """
    if isinstance(request.auth, str):
        return _by_token(request.auth)
    return _by_session(request._request.session.session_key)


def _by_token(token: str) -> Look:
    def look() -> Identity | None:
        try:
            return bearer(token)
        except APIException:
            return None

    return look


def _by_session(key: str | None) -> Look:
    def look() -> Identity | None:
        request = HttpRequest()
        request.session = import_module(settings.SESSION_ENGINE).SessionStore(key)
        found = auth.get_user(request)
        return found if isinstance(found, Identity) else None

    return look
