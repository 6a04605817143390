import re

import pytest

from attune_project.packs.models import Pack

URL = "/api/v1/try/packs"
GOOD = {"ref": "demo", "label": "Demo", "version": "1.0.0"}


def test_text_is_kept_with_the_blanks_around_it(api):
    answer = api.post(URL, {**GOOD, "label": " Demo\n"}, format="json")

    assert answer.json()["data"]["label"] == " Demo\n"


def test_blanks_alone_are_no_text(api):
    answer = api.post(URL, {**GOOD, "label": " \n"}, format="json")

    assert answer.json()["details"] == {"label": ["This field may not be blank."]}


def test_a_row_is_made_and_shown(api):
    answer = api.post(URL, {**GOOD, "surprise": 1}, format="json")

    assert answer.status_code == 201
    assert answer.json()["data"]["ref"] == "demo"
    assert answer.json()["data"].keys() >= {"id", "owner", "created"}


def test_a_ref_may_have_dots(api, make_pack):
    make_pack("demo.with.dots")

    answer = api.get(f"{URL}/demo.with.dots")

    assert answer.json()["data"]["ref"] == "demo.with.dots"


def test_a_foreign_key_is_its_bare_id(api, make_pack, administrator):
    make_pack("demo", owner=administrator)

    answer = api.get(f"{URL}/demo")

    assert answer.json()["data"]["owner"] == administrator.pk


def test_times_are_utc_with_microseconds(api, make_pack):
    make_pack("demo")

    created = api.get(f"{URL}/demo").json()["data"]["created"]

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", created)


def test_a_list_shows_less(api, make_pack):
    make_pack("demo")

    answer = api.get(URL)

    assert answer.json()["data"][0].keys() == {"id", "ref", "label"}


def test_a_put_changes_only_what_it_names(api, make_pack):
    make_pack("demo", description="old")

    answer = api.put(f"{URL}/demo", {"label": "New", "description": None}, format="json")

    assert answer.status_code == 200
    assert (answer.json()["data"]["label"], answer.json()["data"]["description"]) == ("New", "old")


def test_a_put_moves_updated(api, make_pack):
    before = make_pack("demo").updated

    api.put(f"{URL}/demo", {"label": "New"}, format="json")

    assert Pack.objects.get(ref="demo").updated > before


@pytest.mark.parametrize(
    ("value", "stored"), [({"op": "clear"}, None), ({"op": "set", "value": "new"}, "new")]
)
def test_a_put_clears_and_sets_a_nullable_field(api, make_pack, value, stored):
    make_pack("demo", description="old")

    answer = api.put(f"{URL}/demo", {"description": value}, format="json")

    assert answer.json()["data"]["description"] == stored


def test_a_field_that_is_never_null_is_not_cleared(api, make_pack):
    make_pack("demo")

    answer = api.put(f"{URL}/demo", {"label": {"op": "clear"}}, format="json")

    assert answer.status_code == 422
    assert answer.json()["details"].keys() == {"label"}


def test_a_patch_merges(api, make_pack):
    make_pack("demo", description="old", config={"a": 1, "b": {"c": 2, "d": 3}})

    answer = api.patch(
        f"{URL}/demo", {"description": None, "config": {"a": None, "b": {"c": 9}}}, format="json"
    )

    assert answer.json()["data"]["description"] is None
    assert answer.json()["data"]["config"] == {"b": {"c": 9, "d": 3}}


def test_a_patch_may_say_that_it_is_one(api, make_pack):
    make_pack("demo")

    answer = api.patch(f"{URL}/demo", b'{"label": "New"}', content_type="application/merge-patch+json")

    assert answer.json()["data"]["label"] == "New"


def test_a_deletion_names_what_is_gone(api, make_pack):
    pack = make_pack("demo")

    answer = api.delete(f"{URL}/demo")

    assert answer.json() == {
        "success": True,
        "message": "pack deleted",
        "data": {"id": pack.pk, "ref": "demo"},
    }
    assert not Pack.objects.exists()
