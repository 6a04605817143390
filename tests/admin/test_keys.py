"""The page of keys never shows, or takes, a value."""

import pytest

from attune_project.identity.keys.storing import save_value
from attune_project.identity.models import Key
from tests.admin.conftest import page


@pytest.fixture
def key(db):
    return save_value(
        Key(ref="demo.token", name="token", owner_type="system", owner="system"), "hunter2", encrypted=False
    )


def test_pages_show_a_key_without_its_value(desk, key):
    for address in (page("identity_key_changelist"), page("identity_key_change", key.pk)):
        text = desk.get(address).content.decode()

        assert "demo.token" in text
        assert "hunter2" not in text


def test_a_key_is_not_made_or_changed_here_but_may_be_deleted(desk, key):
    assert desk.get(page("identity_key_add")).status_code == 403
    assert desk.post(page("identity_key_change", key.pk), {"name": "x"}).status_code == 403

    desk.post(page("identity_key_delete", key.pk), {"post": "yes"})

    assert not Key.objects.exists()


def test_who_may_not_read_keys_sees_none(browser, nobody, key):
    assert browser(nobody).get(page("identity_key_changelist")).status_code == 403
