import pytest

from attune_project.rest.changes import merge_patch, patch_changes, put_changes


def test_absent_and_null_stay():
    assert put_changes({"a": None, "b": 1}, {"a"}) == {"b": 1}


def test_only_nullable_fields_know_operations():
    changes = put_changes({"note": {"op": "clear"}, "config": {"op": "clear"}}, {"note"})

    assert changes == {"note": None, "config": {"op": "clear"}}


def test_a_set_may_hold_anything():
    assert put_changes({"note": {"op": "set", "value": {"op": "clear"}}}, {"note"}) == {
        "note": {"op": "clear"}
    }


# From the appendix of RFC 7386.
@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch(target, patch, result):
    assert merge_patch(target, patch) == result


def test_a_patch_of_a_row_clears_by_null():
    assert patch_changes({"note": None, "config": {"a": None}}, {"config": {"a": 1, "b": 2}}) == {
        "note": None,
        "config": {"b": 2},
    }
