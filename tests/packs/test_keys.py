import pytest

from attune_project.packs import keys
from attune_project.packs.keys import ItemError, Key


@pytest.mark.parametrize(
    ("read", "value", "problem"),
    [
        (keys.text, 7, "k: expected text"),
        (keys.text, "  ", "k: expected text"),
        (keys.flag, "yes", "k: expected true or false"),
        (keys.flag, 1, "k: expected true or false"),
        (keys.whole(1), 0, "k: expected a whole number from 1"),
        (keys.whole(1), True, "k: expected a whole number from 1"),
        (keys.whole(1), 2**31, "k: expected a whole number from 1"),
        (keys.one_of(["a", "b"]), "c", "k: expected one of a, b"),
        (keys.one_of(["a", "b"]), ["a"], "k: expected one of a, b"),
        (keys.mapping, [], "k: expected a map"),
        (keys.texts, "a", "k: expected a list"),
        (keys.texts, ["a", 1], r"k\[1\]: expected text"),
        (keys.schema, {"x": {"type": "strnig"}}, "k.x.type: unknown type 'strnig'"),
        (keys.pack_ref, "My-Pack", "k: expected lower-case letters"),
        (keys.pack_ref, "a" * 256, "k: expected lower-case letters"),
        (keys.version, 1.0, "k: expected semantic versioning in quotes"),
        (keys.version, "1.0", "k: expected semantic versioning in quotes"),
        (keys.version, "1.0.0\n", "k: expected semantic versioning in quotes"),
    ],
)
def test_a_bad_value_is_named(read, value, problem):
    with pytest.raises(ItemError, match=problem):
        read("k", value)


@pytest.mark.parametrize("version", ["0.1.0", "1.2.3-rc.1+build.5", "10.20.30"])
def test_semantic_versions_are_taken(version):
    assert keys.version("version", version) == version


def test_absent_and_null_are_the_default():
    table = {"a": Key(keys.whole(0), default=3), "b": Key(keys.mapping, column="c", default=dict)}

    assert keys.take(table, {"a": None}) == {"a": 3, "c": {}}


def test_a_required_key_is_asked_for():
    with pytest.raises(ItemError, match="label: is required"):
        keys.take({"label": Key(keys.text, required=True)}, {"label": None})


@pytest.mark.parametrize(("ref", "full"), [("hello", "shop.hello"), ("shop.hello", "shop.hello")])
def test_a_ref_belongs_to_its_pack(ref, full):
    assert keys.own_ref("ref", ref, "shop") == full


@pytest.mark.parametrize("ref", ["other.hello", "shop.a.b", "shop.Hello", "shop.", ".hello", 7, None])
def test_a_ref_of_another_pack_is_refused(ref):
    with pytest.raises(ItemError, match="ref: expected"):
        keys.own_ref("ref", ref, "shop")
