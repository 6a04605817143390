"""Password logins of the admin and the browsable API."""

from typing import Any

from django.contrib.auth.backends import BaseBackend
from django.http import HttpRequest

from .models import Identity


class IdentityBackend(BaseBackend):
    def get_user(self, user_id: int) -> Identity | None:
        return Identity.objects.filter(pk=user_id, frozen=False).first()
