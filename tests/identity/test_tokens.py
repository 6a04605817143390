from datetime import timedelta

import jwt
import pytest
from django.conf import settings
from django.utils import timezone

from attune_project.identity.models import RefreshToken
from attune_project.identity.tokens import issue_access, issue_pair


def claims_of(token):
    return jwt.decode(token, options={"verify_signature": False})


def signed(**changes):
    now = int(timezone.now().timestamp())
    claims = {
        "sub": "1",
        "login": "root",
        "token_type": "access",
        "iat": now,
        "exp": now + 60,
        "jti": "x",
        **changes,
    }
    return jwt.encode(claims, settings.ATTUNE_JWT_SECRET, "HS256")


def me(client, token):
    return client.get("/auth/me", headers={"Authorization": f"Bearer {token}"})


def refresh(client, token):
    return client.post("/auth/refresh", {"refresh_token": token}, format="json")


def test_an_access_token_says_who_and_until_when(administrator):
    claims = claims_of(issue_access(administrator))

    assert (claims["sub"], claims["login"], claims["token_type"]) == (str(administrator.pk), "root", "access")
    assert claims["exp"] - claims["iat"] == 3600


def test_an_expired_token_is_named_as_such(stranger, administrator):
    answer = me(stranger, signed(sub=str(administrator.pk), exp=1))

    assert answer.status_code == 401
    assert answer.json()["code"] == "TOKEN_EXPIRED"
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="attune"'


@pytest.mark.parametrize(
    "changes",
    [
        {"token_type": "refresh"},
        {"token_type": "execution"},
        {"sub": "no number"},
        {"sub": "9" * 30},
        {"sub": None},
        {"sub": 1},
        {"exp": None},
    ],
)
@pytest.mark.django_db
def test_a_token_of_another_kind_is_refused(stranger, changes):
    answer = me(stranger, signed(**changes))

    assert answer.status_code == 401
    assert answer.json()["code"] == "UNAUTHORIZED"


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "Bearer a b", "Bearer a.b.c", "Bearer \xff", "Basic cm9vdDp4", "nonsense"]
)
@pytest.mark.django_db
def test_a_header_that_is_no_token_is_refused(stranger, header):
    answer = stranger.get("/auth/me", headers={"Authorization": header})

    assert answer.status_code == 401


def test_another_secret_is_refused(stranger, administrator):
    claims = claims_of(issue_access(administrator))

    answer = me(stranger, jwt.encode(claims, "another-secret-of-thirty-two-bytes!!", "HS256"))

    assert answer.status_code == 401


def test_an_unsigned_token_is_refused(stranger, administrator):
    answer = me(stranger, jwt.encode(claims_of(issue_access(administrator)), None, "none"))

    assert answer.status_code == 401


def test_the_tokens_of_a_frozen_identity_fail_at_once(stranger, administrator):
    pair = issue_pair(administrator)
    administrator.frozen = True
    administrator.save()

    assert me(stranger, pair.access).status_code == 401
    assert refresh(stranger, pair.refresh).status_code == 401


def test_the_tokens_of_a_deleted_identity_fail_at_once(stranger, administrator):
    pair = issue_pair(administrator)
    administrator.delete()

    assert me(stranger, pair.access).status_code == 401
    assert refresh(stranger, pair.refresh).status_code == 401


def test_a_refresh_gives_a_new_pair(stranger, administrator):
    answer = refresh(stranger, issue_pair(administrator).refresh)

    tokens = answer.json()["data"]
    assert answer.status_code == 200
    assert me(stranger, tokens["access_token"]).status_code == 200
    assert refresh(stranger, tokens["refresh_token"]).status_code == 200


def test_a_used_refresh_token_is_good_for_a_minute(stranger, administrator):
    token = issue_pair(administrator).refresh
    refresh(stranger, token)

    again = refresh(stranger, token)

    assert again.status_code == 200


def test_a_used_refresh_token_ends_after_a_minute(stranger, administrator):
    token = issue_pair(administrator).refresh
    RefreshToken.objects.update(rotated_at=timezone.now() - timedelta(seconds=61))

    answer = refresh(stranger, token)

    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")


def test_using_it_again_does_not_prolong_it(stranger, administrator):
    token = issue_pair(administrator).refresh
    first = timezone.now() - timedelta(seconds=30)
    RefreshToken.objects.update(rotated_at=first)

    refresh(stranger, token)

    assert RefreshToken.objects.get(jti=claims_of(token)["jti"]).rotated_at == first


def test_a_revoked_refresh_token_ends_at_once(stranger, administrator):
    token = issue_pair(administrator).refresh
    RefreshToken.objects.update(revoked_at=timezone.now())

    assert refresh(stranger, token).status_code == 401


def test_an_access_token_refreshes_nothing(stranger, administrator):
    assert refresh(stranger, issue_access(administrator)).status_code == 401


@pytest.mark.django_db
def test_a_refresh_needs_a_token(stranger):
    assert stranger.post("/auth/refresh", {}, format="json").status_code == 422


def test_an_expired_refresh_token_is_named_as_such(stranger, administrator):
    answer = refresh(stranger, signed(token_type="refresh", exp=1))

    assert answer.json()["code"] == "TOKEN_EXPIRED"


def test_tokens_whose_time_is_over_are_forgotten(administrator, nobody):
    for identity in (administrator, nobody):
        issue_pair(identity)
    RefreshToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    issue_pair(administrator)

    assert sorted(RefreshToken.objects.values_list("identity__login", flat=True)) == ["nobody", "root"]
