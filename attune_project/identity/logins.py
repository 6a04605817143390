"""Password logins."""

from django.contrib.auth.hashers import make_password
from django.db.models.functions import Now
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied

from .models import Identity
from .throttle import Limit, give_back, take

FAILED_TRIES = Limit(tries=10, seconds=300)


def log_in(login: str, password: str, address: str) -> Identity:
    """Return the identity of a login and password.

    Raise 401 when they are wrong, 403 when they are right but the identity is frozen, and 429 after too many
    failed tries for this login from this address. An unknown login takes as long as a wrong password.
    """
    key = f"login:{address}:{login}"
    take(key, FAILED_TRIES)
    identity = Identity.objects.filter(login=login).first()
    if not _is_right(identity, password) or identity is None:
        raise AuthenticationFailed("Wrong login or password.")
    give_back(key)
    if identity.frozen:
        raise PermissionDenied("This identity is frozen.")
    Identity.objects.filter(pk=identity.pk).update(last_login=Now())
    return identity


def _is_right(identity: Identity | None, password: str) -> bool:
    if identity is None or not identity.has_usable_password():
        make_password(password)  # the time of a check
        return False
    return identity.check_password(password)
