"""The pages that people open: the browsable API, the OpenAPI document, Swagger UI."""

import html
import json

import pytest
from django.core.management import call_command
from django.test import Client

URL = "/api/v1/try/packs"


@pytest.fixture
def browser(client, administrator):
    client.force_login(administrator)
    return client


def written_in(page):
    """Return what the page's form for a body says at first."""
    return json.loads(
        html.unescape(page.split('name="_content"')[1].split(">", 1)[1].split("</textarea>")[0])
    )


def test_whoever_accepts_anything_gets_json(api):
    assert api.get(URL, headers={"Accept": "*/*"}).headers["Content-Type"] == "application/json"
    assert api.get(URL, headers={"Accept": "application/xml"}).headers["Content-Type"] == "application/json"


def test_a_browser_gets_a_page(browser, make_pack):
    make_pack("demo", label="<b>bold</b>")

    answer = browser.get(f"{URL}/demo", headers={"Accept": "text/html"})

    page = answer.content.decode()
    assert answer.status_code == 200
    assert "rest_framework/css/bootstrap.min.css" in page
    assert "Attune</title>" in page
    assert "<b>bold</b>" not in page


def test_the_form_of_a_new_row_asks_for_what_it_needs(browser):
    page = browser.get(URL, headers={"Accept": "text/html"}).content.decode()

    assert written_in(page) == {"ref": "", "label": "", "version": "", "config": {}}


def test_the_form_of_a_row_says_what_it_is_now(browser, make_pack):
    pack = make_pack("demo", config={"a": 1})

    page = browser.get(f"{URL}/demo", headers={"Accept": "text/html"}).content.decode()
    answer = browser.put(f"{URL}/demo", written_in(page), content_type="application/json")

    assert written_in(page)["config"] == {"a": 1}
    assert answer.status_code == 200
    assert answer.json()["data"]["label"] == pack.label


def test_a_page_has_a_form_to_put(browser, make_pack):
    make_pack("demo")

    page = browser.get(f"{URL}/demo", headers={"Accept": "text/html"}).content.decode()

    assert 'data-method="PUT"' in page
    assert 'data-method="DELETE"' in page


def test_a_page_offers_the_login_of_the_admin(client, db):
    answer = client.get(URL, headers={"Accept": "text/html"})

    assert answer.status_code == 401
    assert "/admin/login/?next=" in answer.content.decode()


def test_a_session_needs_its_csrf_token(administrator, make_pack):
    client = Client(enforce_csrf_checks=True)
    client.force_login(administrator)
    make_pack("demo")

    answer = client.put(f"{URL}/demo", {"label": "New"}, content_type="application/json")

    assert answer.status_code == 403
    assert "CSRF" in answer.json()["error"]


def test_a_format_that_is_not_there_is_named(api):
    answer = api.get(URL, {"format": "xml"})

    assert answer.status_code == 400
    assert answer.json()["error"].startswith("format:")


@pytest.mark.django_db
def test_the_document_is_open(stranger):
    answer = stranger.get("/api-spec/openapi.json")

    assert answer.status_code == 200
    assert {"/auth/login", "/auth/refresh", "/auth/me", "/api/v1/try/packs/{ref}"} <= answer.json()[
        "paths"
    ].keys()


@pytest.mark.django_db
def test_the_document_knows_the_envelopes(stranger):
    document = stranger.get("/api-spec/openapi.json").json()
    packs = document["paths"]["/api/v1/try/packs"]
    one = document["paths"]["/api/v1/try/packs/{ref}"]

    shown = one["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert shown["required"] == ["data"]
    assert one["delete"]["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].endswith(
        "/Deleted"
    )
    assert {"page", "per_page", "ordering", "tags", "created_after"} <= {
        one["name"] for one in packs["get"]["parameters"]
    }
    assert packs["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith(
        "/TriedBody"
    )


def test_the_document_has_no_gaps(capsys, db):
    call_command("spectacular", "--validate", "--fail-on-warn", "--urlconf", "tests.rest.conftest")

    assert "openapi:" in capsys.readouterr().out


@pytest.mark.django_db
def test_swagger_needs_nobody_else(stranger):
    page = stranger.get("/docs", headers={"Accept": "text/html"}).content.decode()

    assert "/static/drf_spectacular_sidecar/swagger-ui-dist/" in page
    assert "https://" not in page


@pytest.mark.parametrize("path", ["/health/ready", "/health/detailed"])
def test_the_document_knows_that_health_may_be_bad_in_its_own_shape(api, path):
    answers = api.get("/api-spec/openapi.json").json()["paths"][path]["get"]["responses"]

    assert answers["503"] == answers["200"]


@pytest.mark.urls("attune_project.urls")
def test_the_bare_address_leads_to_the_admin(client):
    answer = client.get("/")

    assert answer.status_code == 302
    assert answer.headers["Location"] == "/admin/"
