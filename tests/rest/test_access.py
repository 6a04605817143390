"""What callers with different rights get from the same routes."""

import pytest

from attune_project.packs.models import Pack

URL = "/api/v1/try/packs"
READER = {"resource": "packs", "actions": ["read"], "constraints": {"refs": ["seen"]}}
WRITER = {"resource": "packs", "actions": ["delete", "configure"], "constraints": {"refs": ["other"]}}


@pytest.fixture
def reader(client_of, identity_with, make_pack):
    make_pack("seen")
    make_pack("hidden")
    return client_of(identity_with(READER))


def test_a_list_leaves_out_what_is_hidden(reader):
    answer = reader.get(URL)

    assert [row["ref"] for row in answer.json()["data"]] == ["seen"]
    assert answer.json()["pagination"]["total_items"] == 1


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("ref", ["hidden", "absent"])
def test_hidden_and_absent_look_alike(reader, method, ref):
    answer = reader.generic(method, f"{URL}/{ref}", "{}", content_type="application/json")

    assert (answer.status_code, answer.json()) == (404, {"error": "Not found.", "code": "NOT_FOUND"})


@pytest.mark.parametrize(
    ("method", "right"), [("PUT", "configure"), ("PATCH", "configure"), ("DELETE", "delete")]
)
def test_visible_but_not_allowed_is_403(reader, method, right):
    answer = reader.generic(method, f"{URL}/seen", "{", content_type="application/json")

    assert answer.status_code == 403
    assert answer.json() == {"error": f"Permission denied: packs:{right}", "code": "FORBIDDEN"}


def test_a_right_to_another_row_is_no_right(client_of, identity_with, make_pack):
    make_pack("seen")
    client = client_of(identity_with(READER, WRITER))

    answer = client.delete(f"{URL}/seen")

    assert answer.status_code == 403


def test_creating_needs_its_own_right(reader):
    answer = reader.post(URL, b"{", content_type="application/json")

    assert answer.status_code == 403
    assert answer.json()["error"] == "Permission denied: packs:create"


def test_a_method_that_is_not_there_is_405_for_anybody(reader):
    assert reader.delete(URL).status_code == 405


def test_a_right_to_create_may_be_for_some_only(client_of, identity_with):
    some = {"resource": "packs", "actions": ["create"], "constraints": {"refs": ["mine"]}}
    client = client_of(identity_with(some))
    body = {"label": "Demo", "version": "1.0.0"}

    answers = [client.post(URL, {**body, "ref": ref}, format="json") for ref in ("mine", "other")]

    assert [answer.status_code for answer in answers] == [201, 403]
    assert [pack.ref for pack in Pack.objects.all()] == ["mine"]
