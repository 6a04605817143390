from attune_project.packs.config import MARKER, redacted, restored

SCHEMA = {
    "token": {"type": "string", "secret": True},
    "mail": {"type": "object", "properties": {"password": {"type": "string", "secret": True}}},
    "region": {"type": "string"},
}
CONFIG = {"token": "t0p", "mail": {"password": "pw", "user": "u"}, "region": "eu"}


def test_secrets_are_shown_as_a_marker():
    assert redacted(CONFIG, SCHEMA) == {
        "token": MARKER, "mail": {"password": MARKER, "user": "u"}, "region": "eu",
    }  # fmt: skip
    assert CONFIG["token"] == "t0p"


def test_an_absent_secret_is_not_shown():
    assert redacted({"region": "eu", "mail": "x"}, SCHEMA) == {"region": "eu", "mail": "x"}


def test_a_marker_that_comes_back_changes_nothing():
    given = {"token": MARKER, "mail": {"password": MARKER, "user": "v"}, "region": "us"}

    assert restored(given, CONFIG, SCHEMA) == {
        "token": "t0p", "mail": {"password": "pw", "user": "v"}, "region": "us",
    }  # fmt: skip


def test_a_new_secret_replaces_the_old_one():
    assert restored({"token": "new"}, CONFIG, SCHEMA) == {"token": "new"}


def test_a_marker_without_a_secret_behind_it_is_dropped():
    assert restored({"token": MARKER, "region": "us"}, {}, SCHEMA) == {"region": "us"}
