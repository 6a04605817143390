"""The first administrator, with every right."""

from django.conf import settings
from django.db import IntegrityError, transaction

from .models import Identity

SHORTEST_PASSWORD = 8


class NoAdministrator(Exception):
    pass


def first_administrator() -> Identity:
    """Return the oldest identity with every right."""
    found = Identity.objects.filter(is_superuser=True, frozen=False).order_by("id").first()
    if found is None:
        raise NoAdministrator("There is no administrator yet: run ensure_admin.")
    return found


def ensure_administrator(login: str, password: str) -> tuple[Identity, bool]:
    """Return the administrator of that login and whether it was made now.

    Without a login any administrator that exists is good. An identity that exists is never changed: a restart
    must not give back a password or a right that somebody took away.
    """
    existing = Identity.objects.filter(login=login).first() if login else _any_administrator()
    if existing:
        return existing, False
    if not login or not password:
        kind = "production" if settings.PRODUCTION else "a first administrator"
        raise NoAdministrator(f"{kind} needs ATTUNE_ADMIN_LOGIN and ATTUNE_ADMIN_PASSWORD")
    if len(password) < SHORTEST_PASSWORD:
        raise NoAdministrator(f"ATTUNE_ADMIN_PASSWORD: at least {SHORTEST_PASSWORD} characters")
    try:
        with transaction.atomic():
            return Identity.objects.create_superuser(login, password), True
    except IntegrityError:  # another process was faster
        return Identity.objects.get(login=login), False


def _any_administrator() -> Identity | None:
    return Identity.objects.filter(is_superuser=True).order_by("id").first()
