import pytest

URL = "/api/v1/try/packs"


def refs(answer):
    return {row["ref"] for row in answer.json()["data"]}


def test_a_filter_that_nobody_knows_is_refused(api):
    answer = api.get(URL, {"colour": "red"})

    assert answer.status_code == 400
    assert answer.json()["code"] == "UNKNOWN_FILTER"
    assert "'colour'" in answer.json()["error"]


@pytest.mark.parametrize("query", ["ref=pack1,pack3", "ref=pack1&ref=pack3", "ref=pack1&ref=%20pack3,"])
def test_several_values_mean_any_of_them(api, packs, query):
    answer = api.get(f"{URL}?{query}")

    assert refs(answer) == {"pack1", "pack3"}


def test_tags_overlap(api, make_pack):
    make_pack("red", tags=["red", "hot"])
    make_pack("blue", tags=["blue"])

    answer = api.get(URL, {"tags": "red,green"})

    assert refs(answer) == {"red"}


def test_a_search_looks_into_each_of_its_columns(api, make_pack):
    make_pack("one", label="About mail")
    make_pack("mailer", label="Two")
    make_pack("three")

    answer = api.get(URL, {"search": "MAIL"})

    assert refs(answer) == {"one", "mailer"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("is_standard", "perhaps"),
        ("created_after", "yesterday"),
        ("created_before", "2026-13-45"),
        ("created_after", "0001-01-01T00:00:00+14:00"),
    ],
)
def test_a_value_that_makes_no_sense_is_named(api, name, value):
    answer = api.get(URL, {name: value})

    assert answer.status_code == 400
    assert answer.json()["code"] == "BAD_REQUEST"
    assert answer.json()["error"].startswith(f"{name}:")


def test_an_offset_beyond_those_of_postgresql_is_understood(api, packs):
    answer = api.get(URL, {"created_after": "2000-01-01T00:00:00+18:10"})

    assert len(refs(answer)) == len(packs)


def test_times_bound_a_list(api, packs):
    middle = packs[2].created.isoformat().replace("+00:00", "Z")

    later = api.get(URL, {"created_after": middle})
    earlier = api.get(URL, {"created_before": middle})

    assert refs(later) == {"pack3", "pack4"}
    assert refs(earlier) == {"pack0", "pack1"}


def test_an_offset_whose_plus_became_a_space_is_understood(api, packs):
    answer = api.get(f"{URL}?created_before=2000-01-01T00:00:00+01:00")

    assert answer.status_code == 200
    assert refs(answer) == set()


def test_an_empty_value_filters_nothing(api, packs):
    answer = api.get(f"{URL}?ref=&search=&is_standard=")

    assert len(refs(answer)) == 5


def test_nul_in_a_query_is_refused(api):
    answer = api.get(f"{URL}?ref=a%00b")

    assert answer.status_code == 400
    assert "NUL" in answer.json()["error"]


def test_a_list_can_be_ordered(api, packs):
    answer = api.get(URL, {"ordering": "ref", "per_page": 2})

    assert [row["ref"] for row in answer.json()["data"]] == ["pack0", "pack1"]


def test_only_named_fields_order(api):
    answer = api.get(URL, {"ordering": "-label"})

    assert answer.status_code == 400
    assert answer.json()["error"] == "ordering: 'label' isn't one of ref, created"
