"""Tokens: JWT HS256 with the contract's claims; refresh tokens rotate, a run's token ends with it."""

import uuid
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Now
from rest_framework.exceptions import AuthenticationFailed
from rest_framework_simplejwt.exceptions import ExpiredTokenError, TokenError
from rest_framework_simplejwt.tokens import Token, UntypedToken

from attune_project.rest.errors import TokenExpired

from .models import Identity, RefreshToken
from .rbac import lendable
from .runs import Run, is_on, run_of

# Its holder may not have got the answer to the first use; longer would let a thief use it too.
ROTATION_GRACE = timedelta(seconds=60)
LARGEST_ID = 2**63 - 1


class AccessJwt(Token):
    token_type = "access"  # noqa: S105
    lifetime = settings.ACCESS_TOKEN_LIFETIME


class RefreshJwt(Token):
    token_type = "refresh"  # noqa: S105
    lifetime = settings.REFRESH_TOKEN_LIFETIME


class ExecutionJwt(Token):
    token_type = "execution"  # noqa: S105
    lifetime = timedelta(0)  # said by who issues it: the limit of the run, and a minute


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


@dataclass(frozen=True)
class Lent:
    """What a run was given: a token with the rights of these permission sets, or none without any."""

    token: str | None = None
    permission_set_refs: tuple[str, ...] = ()


def issue_execution(identity_id: int, run: Run, seconds: float) -> Lent:
    """Give a run its token for so many seconds; none when nothing could be lent to it.

    Of the permission sets that the run names, those are left out that the identity lacks by now.
    """
    identity = Identity.objects.filter(pk=identity_id, frozen=False).first()
    lent = lendable(identity, run.permission_set_refs) if identity else {}
    if identity is None or not lent:
        return Lent()
    token = _claims(ExecutionJwt(), identity)
    token.set_exp(lifetime=timedelta(seconds=seconds))
    token["scope"] = "execution"
    token["metadata"] = replace(run, permission_set_refs=tuple(lent)).as_metadata()
    return Lent(str(token), tuple(lent))


def bearer(text: str) -> Identity:
    """Return whose access token, or whose run's token this is; raise 401.

    Frozen and deleted identities fail at once, and so does the token of a run that isn't on.
    """
    claims = _read(UntypedToken, text)
    identity = Identity.objects.filter(pk=_subject(claims), frozen=False).first()
    if identity is None:
        raise _refused()
    if claims.get("token_type") == ExecutionJwt.token_type:
        identity.run = _running(claims)
    elif claims.get("token_type") != AccessJwt.token_type:
        raise _refused()
    return identity


def is_ours(text: str) -> bool:
    """Tell a token that we gave out and whose time isn't over; whose it is isn't looked up."""
    try:
        UntypedToken(text)  # type: ignore[arg-type]  # the stubs know only a parsed token
    except (TokenError, ValueError, TypeError):
        return False
    return True


def _running(claims: Token) -> Run:
    run = run_of(claims.get("metadata"))
    if run is None or not is_on(run):
        raise _refused()
    return run


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
