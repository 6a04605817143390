import pytest
from hypothesis import given
from hypothesis import strategies as st

from attune_project.identity.keys.encryption import Keyring, Unreadable, identifier

OLD, NEW = "an old secret of enough characters", "a new secret of enough characters"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(JSON.filter(lambda value: "\\ud" not in repr(value)))
def test_what_is_sealed_comes_back(value):
    ring = Keyring([NEW])

    assert ring.open(ring.seal(value, "demo.token"), "demo.token") == value


def test_the_same_value_is_never_the_same_text():
    ring = Keyring([NEW])

    assert ring.seal("hunter2", "demo.token") != ring.seal("hunter2", "demo.token")


def test_nothing_of_value_or_secret_is_in_the_text():
    sealed = Keyring([NEW]).seal("hunter2hunter2", "demo.token")

    assert "hunter2" not in sealed
    assert NEW not in sealed
    assert sealed.startswith(f"attune1.{identifier(NEW)}.")


def test_a_value_belongs_to_its_ref():
    ring = Keyring([NEW])
    sealed = ring.seal("hunter2", "demo.token")

    with pytest.raises(Unreadable, match="was changed, or belongs to another key"):
        ring.open(sealed, "demo.other")


def test_old_secrets_open_and_the_first_one_seals():
    sealed = Keyring([OLD]).seal("hunter2", "demo.token")
    ring = Keyring([NEW, OLD])

    assert ring.open(sealed, "demo.token") == "hunter2"
    assert ring.seal("hunter2", "demo.token").split(".")[1] == identifier(NEW)


def test_a_secret_that_is_not_at_hand_is_named_by_its_id():
    sealed = Keyring([OLD]).seal("hunter2", "demo.token")

    with pytest.raises(Unreadable, match=f"under the encryption key {identifier(OLD)}, which isn't given"):
        Keyring([NEW]).open(sealed, "demo.token")


@pytest.mark.parametrize("stored", [None, 7, "", "hunter2", "attune1.only-two", "attune9.x.y", {"a": 1}])
def test_what_nobody_sealed_is_refused(stored):
    with pytest.raises(Unreadable, match="isn't in a form"):
        Keyring([NEW]).open(stored, "demo.token")


@pytest.mark.parametrize("body", ["", "AAAA", "no base64!", "é"])
def test_a_body_that_was_changed_is_refused(body):
    with pytest.raises(Unreadable, match="was changed"):
        Keyring([NEW]).open(f"attune1.{identifier(NEW)}.{body}", "demo.token")
