import pytest
from django.db import OperationalError, connection
from rest_framework.exceptions import Throttled

from attune_project.rest import errors
from tests.rest.conftest import PackViews

URL = "/api/v1/try/packs"
GOOD = {"ref": "demo", "label": "Demo", "version": "1.0.0"}


@pytest.mark.parametrize(
    "path", ["/api/v1/nothing", "/auth/nothing", "/health/nothing", "/nothing", f"{URL}/"]
)
@pytest.mark.django_db
def test_an_unknown_route_is_404_for_everybody(stranger, path):
    answer = stranger.get(path)

    assert answer.status_code == 404
    assert answer.json()["code"] == "NOT_FOUND"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
@pytest.mark.django_db
def test_credentials_are_asked_for_before_anything_else(stranger, method):
    answer = stranger.generic(method, f"{URL}/absent", b"{", content_type="application/json")

    assert answer.status_code == 401
    assert answer.json()["code"] == "UNAUTHORIZED"
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="attune"'


@pytest.mark.parametrize("path", ["?format=junk", "?bogus=1", "?page=0", "/absent?format=junk"])
@pytest.mark.django_db
def test_credentials_are_asked_for_before_parameters_are_judged(stranger, path):
    assert stranger.get(f"{URL}{path}").status_code == 401


def test_an_absent_row_is_404(api):
    answer = api.get(f"{URL}/absent.one")

    assert (answer.status_code, answer.json()) == (404, {"error": "Not found.", "code": "NOT_FOUND"})


@pytest.mark.parametrize("text", ["abc", "-1", "9" * 19, "9" * 40, "1.5", "%00", "\u0661"])
def test_what_cannot_be_an_id_is_absent(api, text):
    answer = api.get(f"/api/v1/try/numbers/{text}")

    assert answer.status_code == 404


def test_a_method_that_is_not_there(api):
    answer = api.delete(URL)

    assert answer.status_code == 405
    assert answer.json()["code"] == "METHOD_NOT_ALLOWED"
    assert "GET" in answer.headers["Allow"]


def test_only_json_is_read(api):
    answer = api.post(URL, b"a=1", content_type="application/x-www-form-urlencoded")

    assert answer.status_code == 415
    assert answer.json()["code"] == "UNSUPPORTED_MEDIA_TYPE"


def test_a_body_that_is_too_large_is_413(api):
    answer = api.post(URL, b'"' + b"x" * (10 * 1024 * 1024) + b'"', content_type="application/json")

    assert answer.status_code == 413
    assert answer.json()["code"] == "PAYLOAD_TOO_LARGE"


@pytest.mark.parametrize(
    "body", [b"{", b"", b"\xff", b'{"a":}', b"[" * 20_000, b'{"a":' * 100 + b"1" + b"}" * 100]
)
def test_malformed_json_is_400(api, body):
    answer = api.post(URL, body + b" ", content_type="application/json")

    assert answer.status_code == 400
    assert answer.json()["code"] == "BAD_REQUEST"


@pytest.mark.parametrize("value", [b'"a\\u0000b"', b"NaN", b"-Infinity", b"1e999"])
def test_json_that_cannot_be_stored_is_422(api, value):
    answer = api.post(URL, b'{"config": {"x": ' + value + b"}}", content_type="application/json")

    assert answer.status_code == 422
    assert answer.json()["code"] == "VALIDATION_ERROR"


@pytest.mark.parametrize("body", ["[]", '"text"', "1", "null"])
def test_a_body_that_is_no_object_is_422(api, body):
    answer = api.post(URL, body, content_type="application/json")

    assert answer.status_code == 422


def test_each_bad_field_is_named(api):
    answer = api.post(URL, {"ref": 5, "label": "", "config": []}, format="json")

    assert answer.status_code == 422
    assert answer.json()["details"].keys() == {"ref", "label", "config", "version"}
    assert answer.json()["error"].startswith("ref: ")


def test_a_duplicate_is_a_conflict(api, make_pack):
    make_pack("demo")

    answer = api.post(URL, GOOD, format="json")

    assert answer.status_code == 409
    assert answer.json() == {"error": "ref 'demo' exists already.", "code": "CONFLICT"}


def test_a_fault_of_ours_says_nothing_about_the_insides(api, caplog):
    answer = api.get("/api/v1/try/broken")

    assert answer.status_code == 500
    assert answer.json()["code"] == "INTERNAL_ERROR"
    assert "insides" not in answer.content.decode()


def test_a_database_that_is_away_is_503():
    answer = errors.handle(OperationalError("at 10.0.0.1"), {})

    assert answer.status_code == 503
    assert answer.data["code"] == "UNAVAILABLE"
    assert "10.0.0.1" not in answer.data["error"]


def test_too_many_tries_say_how_long_to_wait():
    answer = errors.handle(Throttled(wait=4.2), {})

    assert (answer.status_code, answer.data["code"], answer.headers["Retry-After"]) == (
        429,
        "TOO_MANY_REQUESTS",
        "5",
    )


def test_nested_problems_are_named_by_their_path():
    nested = {"events": [{}, {"trigger_ref": ["This field is required."]}], "non_field_errors": ["No."]}

    assert errors.flatten(nested) == {"events.1.trigger_ref": ["This field is required."], "body": ["No."]}


def test_a_view_that_says_nothing_about_access_lets_nobody_in(api):
    answer = api.get("/api/v1/try/undeclared")

    assert answer.status_code == 403
    assert answer.json()["code"] == "FORBIDDEN"


def test_a_row_whose_parent_vanished_meanwhile_is_a_conflict(api, monkeypatch):
    def make(view, serializer):
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        return serializer.save(owner_id=987654)

    monkeypatch.setattr(PackViews, "make", make)

    answer = api.post(URL, GOOD, format="json")

    assert (answer.status_code, answer.json()["code"]) == (409, "CONFLICT")
    assert "987654" not in answer.json()["error"]
