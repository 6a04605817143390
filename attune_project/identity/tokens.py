"""Tokens: JWT HS256 with the contract's claims; refresh tokens rotate."""

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Now
from rest_framework.exceptions import AuthenticationFailed
from rest_framework_simplejwt.exceptions import ExpiredTokenError, TokenError
from rest_framework_simplejwt.tokens import Token

from attune_project.rest.errors import TokenExpired

from .models import Identity, RefreshToken

# Its holder may not have got the answer to the first use; longer would let a thief use it too.
ROTATION_GRACE = timedelta(seconds=60)
LARGEST_ID = 2**63 - 1


class AccessJwt(Token):
    token_type = "access"  # noqa: S105
    lifetime = settings.ACCESS_TOKEN_LIFETIME


class RefreshJwt(Token):
    token_type = "refresh"  # noqa: S105
    lifetime = settings.REFRESH_TOKEN_LIFETIME


@dataclass(frozen=True)
class TokenPair:
    access: str
    refresh: str
    identity: Identity

    @property
    def expires_in(self) -> int:
        """Seconds that the access token is good for."""
        return int(settings.ACCESS_TOKEN_LIFETIME.total_seconds())


def issue_access(identity: Identity) -> str:
    return str(_claims(AccessJwt(), identity))


def issue_pair(identity: Identity) -> TokenPair:
    """Give out an access token and a refresh token that is known by its row.

    The identity's rows whose time is over go, so that the table doesn't grow with every login.
    """
    RefreshToken.objects.filter(identity=identity, expires_at__lt=Now()).delete()
    row = RefreshToken.objects.create(
        identity=identity,
        expires_at=Now() + settings.REFRESH_TOKEN_LIFETIME,
    )
    refresh = _claims(RefreshJwt(), identity)
    refresh["jti"] = str(row.jti)
    return TokenPair(issue_access(identity), str(refresh), identity)


def bearer(text: str) -> Identity:
    """Return whose access token this is; raise 401. Frozen and deleted identities fail at once."""
    identity = Identity.objects.filter(pk=_subject(_read(AccessJwt, text)), frozen=False).first()
    if identity is None:
        raise _refused()
    return identity


def rotate(text: str) -> TokenPair:
    """Exchange a refresh token for a new pair; the old one ends, with a minute's grace."""
    claims = _read(RefreshJwt, text)
    with transaction.atomic():
        row = (
            RefreshToken.objects.select_for_update(of=("self",))
            .select_related("identity")
            .filter(jti=_jti(claims), revoked_at=None, expires_at__gt=Now(), identity__frozen=False)
            .annotate(good_until=Coalesce(F("rotated_at") + ROTATION_GRACE, F("expires_at")))
            .filter(good_until__gt=Now())
            .first()
        )
        if row is None:
            raise _refused()
        RefreshToken.objects.filter(pk=row.pk).update(rotated_at=Coalesce("rotated_at", Now()), updated=Now())
        return issue_pair(row.identity)


def _claims(token: Token, identity: Identity) -> Token:
    token["sub"] = str(identity.pk)
    token["login"] = identity.login
    return token


def _read(kind: type[Token], text: str) -> Token:
    try:
        return kind(text)  # type: ignore[arg-type]  # the stubs know only a parsed token
    except ExpiredTokenError:
        raise TokenExpired from None
    except (TokenError, ValueError, TypeError):
        raise _refused() from None


def _subject(claims: Token) -> int:
    text: Any = claims.get("sub")
    if not (isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 20):
        raise _refused()
    return min(int(text), LARGEST_ID)


def _jti(claims: Token) -> uuid.UUID:
    try:
        return uuid.UUID(str(claims.get("jti")))
    except ValueError:
        raise _refused() from None


def _refused() -> AuthenticationFailed:
    return AuthenticationFailed("The token isn't valid.")
