from datetime import timedelta

import pytest
from django.utils import timezone

from attune_project.identity import logins
from attune_project.identity.models import RateCounter

URL = "/auth/login"
GOOD = {"login": "root", "password": "the password"}


def test_a_login_gives_tokens(stranger, administrator):
    answer = stranger.post(URL, GOOD, format="json")

    tokens = answer.json()["data"]
    assert answer.status_code == 200
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 3600)
    assert tokens["user"] == {"id": administrator.pk, "login": "root", "display_name": None}


def test_the_access_token_opens_the_door(stranger, administrator):
    token = stranger.post(URL, GOOD, format="json").json()["data"]["access_token"]

    answer = stranger.get("/auth/me", headers={"Authorization": f"Bearer {token}"})

    assert answer.json()["data"]["login"] == "root"


@pytest.mark.parametrize("body", [{**GOOD, "password": "wrong"}, {**GOOD, "login": "unknown"}])
def test_wrong_is_401_whatever_is_wrong(stranger, administrator, body):
    answer = stranger.post(URL, body, format="json")

    assert answer.status_code == 401
    assert answer.json() == {"error": "Wrong login or password.", "code": "UNAUTHORIZED"}


@pytest.mark.parametrize(
    "body", [{}, {"login": "root"}, {"login": 5, "password": "x"}, {"login": "", "password": ""}]
)
@pytest.mark.django_db
def test_a_login_needs_both(stranger, body):
    answer = stranger.post(URL, body, format="json")

    assert answer.status_code == 422


def test_a_frozen_identity_is_403_but_only_with_its_password(stranger, administrator):
    administrator.frozen = True
    administrator.save()

    right = stranger.post(URL, GOOD, format="json")
    wrong = stranger.post(URL, {**GOOD, "password": "wrong"}, format="json")

    assert (right.status_code, wrong.status_code) == (403, 401)


def test_an_identity_without_a_password_has_no_password_login(stranger, nobody):
    nobody.set_password(None)
    nobody.save()

    answer = stranger.post(URL, {"login": "nobody", "password": ""}, format="json")

    assert answer.status_code == 422
    assert not nobody.check_password("")


def test_the_eleventh_failed_try_is_429(stranger, administrator):
    for _ in range(10):
        assert stranger.post(URL, {**GOOD, "password": "wrong"}, format="json").status_code == 401

    answer = stranger.post(URL, GOOD, format="json")

    assert answer.status_code == 429
    assert answer.json()["code"] == "TOO_MANY_REQUESTS"
    assert 290 <= int(answer.headers["Retry-After"]) <= 300


def test_the_limit_is_of_one_login_and_one_address(stranger, administrator, nobody):
    for _ in range(11):
        stranger.post(URL, {**GOOD, "password": "wrong"}, format="json")

    other_login = stranger.post(URL, {**GOOD, "login": "nobody"}, format="json")
    other_address = stranger.post(URL, GOOD, format="json", REMOTE_ADDR="203.0.113.9")

    assert (other_login.status_code, other_address.status_code) == (200, 200)


def test_logins_that_succeed_are_not_limited(stranger, administrator):
    answers = [stranger.post(URL, GOOD, format="json") for _ in range(12)]

    assert {answer.status_code for answer in answers} == {200}
    assert not RateCounter.objects.exists()


def test_a_window_ends(stranger, administrator):
    for _ in range(11):
        stranger.post(URL, {**GOOD, "password": "wrong"}, format="json")
    RateCounter.objects.update(started_at=timezone.now() - timedelta(seconds=301))

    answer = stranger.post(URL, GOOD, format="json")

    assert answer.status_code == 200


def test_an_unknown_login_costs_a_hash_too(db, monkeypatch):
    hashed = []
    monkeypatch.setattr(logins, "make_password", hashed.append)

    with pytest.raises(Exception, match="Wrong login or password"):
        logins.log_in("unknown", "some password", "203.0.113.9")

    assert hashed == ["some password"]


def test_a_bad_token_does_not_matter_on_an_open_route(stranger, administrator):
    answer = stranger.post(URL, GOOD, format="json", headers={"Authorization": "Bearer nonsense"})

    assert answer.status_code == 200
