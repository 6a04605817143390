import pytest

from attune_project.packs.models import Pack
from attune_project.rest import paging

URL = "/api/v1/try/packs"


def test_a_list_comes_in_pages(api, packs):
    answer = api.get(URL, {"page": 2, "per_page": 2}).json()

    assert [row["ref"] for row in answer["data"]] == ["pack2", "pack1"]
    assert answer["pagination"] == {
        "page": 2,
        "page_size": 2,
        "total_items": 5,
        "total_pages": 3,
        "has_next": True,
        "has_previous": True,
    }


def test_an_empty_list_has_no_pages(api):
    answer = api.get(URL).json()

    assert answer["data"] == []
    assert (answer["pagination"]["total_items"], answer["pagination"]["total_pages"]) == (0, 0)
    assert answer["pagination"]["page_size"] == 50


@pytest.mark.parametrize("page", ["4", "99999999999999999999", "9" * 5000])
def test_a_page_past_the_end_is_empty(api, packs, page):
    answer = api.get(URL, {"page": page, "per_page": 2})

    assert answer.status_code == 200
    assert answer.json()["data"] == []
    assert answer.json()["pagination"]["has_next"] is False


def test_the_first_alias_of_the_size_wins(api, packs):
    answer = api.get(URL, {"limit": 4, "page_size": 3, "per_page": 2}).json()

    assert answer["pagination"]["page_size"] == 2


@pytest.mark.parametrize(("asked", "used"), [("0", 1), ("-5", 1), ("1001", 1000), ("9" * 30, 1000)])
def test_the_size_is_clamped(api, asked, used):
    answer = api.get(URL, {"per_page": asked}).json()

    assert answer["pagination"]["page_size"] == used


@pytest.mark.parametrize(
    ("name", "value"), [("page", "0"), ("page", "-1"), ("page", "x"), ("per_page", "1.5"), ("offset", "-1")]
)
def test_a_number_that_cannot_be_is_named(api, name, value):
    answer = api.get(URL, {name: value})

    assert answer.status_code == 400
    assert answer.json()["code"] == "BAD_REQUEST"
    assert answer.json()["error"].startswith(f"{name}:")


def test_an_offset_stands_for_a_page(api, packs):
    answer = api.get(URL, {"offset": 2, "per_page": 2}).json()

    assert [row["ref"] for row in answer["data"]] == ["pack2", "pack1"]
    assert answer["pagination"]["page"] == 2


def test_without_totals_the_next_page_is_still_known(api, packs):
    answer = api.get(URL, {"include_total": "false", "per_page": 4}).json()

    assert answer["pagination"]["total_items"] is None
    assert answer["pagination"]["total_pages"] is None
    assert answer["pagination"]["has_next"] is True


def test_beyond_the_exact_totals_the_planner_is_asked(api, packs, monkeypatch):
    monkeypatch.setattr(paging, "EXACT_TOTAL", 3)

    answer = api.get(URL, {"per_page": 4}).json()

    assert answer["pagination"]["total_is_estimate"] is True
    assert answer["pagination"]["total_items"] >= 4
    assert answer["pagination"]["has_next"] is True


@pytest.mark.usefixtures("packs")
def test_the_estimate_comes_from_the_plan():
    assert paging.planned_rows(Pack.objects.order_by()) >= 0


def test_a_page_costs_no_query_per_row(api, packs, django_assert_num_queries):
    with django_assert_num_queries(3):  # the caller, the count, the rows
        api.get(URL)


@pytest.mark.parametrize("query", [{"page": 2, "per_page": 2}, {"offset": 2, "limit": 2, "ordering": "ref"}])
def test_a_page_far_back_is_the_same_as_one_in_front(api, packs, monkeypatch, query):
    near = api.get(URL, query).json()

    monkeypatch.setattr(paging, "DEEP", 0)

    assert api.get(URL, query).json() == near
    assert len(near["data"]) == 2


def test_a_page_far_back_skips_ids_alone(api, packs, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(paging, "DEEP", 1)

    with django_assert_num_queries(4) as queries:  # the caller, the count, the ids, the rows
        api.get(URL, {"offset": 1})

    assert queries[2]["sql"].startswith('SELECT "pack"."id"')
    assert '"label"' not in queries[2]["sql"]
