import json

import pytest
from django.core.management import CommandError, call_command

from attune_project.identity.models import Identity, PermissionAssignment, PermissionSet
from attune_project.identity.tokens import bearer


@pytest.fixture
def chosen(monkeypatch, db):
    monkeypatch.setenv("ATTUNE_ADMIN_LOGIN", "chief")
    monkeypatch.setenv("ATTUNE_ADMIN_PASSWORD", "a long password")


@pytest.fixture
def unchosen(monkeypatch, db):
    monkeypatch.delenv("ATTUNE_ADMIN_LOGIN", raising=False)
    monkeypatch.delenv("ATTUNE_ADMIN_PASSWORD", raising=False)


def said(capsys, *command):
    call_command(*command)
    return capsys.readouterr().out


@pytest.mark.usefixtures("chosen")
def test_the_first_administrator_is_made_once(capsys):
    first = json.loads(said(capsys, "ensure_admin"))
    second = json.loads(said(capsys, "ensure_admin"))

    assert (first, second) == ({"login": "chief", "created": True}, {"login": "chief", "created": False})
    assert Identity.objects.get().is_superuser


@pytest.mark.usefixtures("chosen")
def test_an_identity_that_exists_is_left_alone(capsys):
    Identity.objects.create_user("chief", "its own password", frozen=True)

    said(capsys, "ensure_admin")

    chief = Identity.objects.get()
    assert chief.check_password("its own password")
    assert (chief.frozen, chief.is_superuser) == (True, False)


@pytest.mark.usefixtures("unchosen")
def test_an_administrator_that_exists_is_enough(capsys, administrator):
    assert json.loads(said(capsys, "ensure_admin")) == {"login": "root", "created": False}


@pytest.mark.usefixtures("unchosen")
def test_without_a_choice_there_is_no_first_administrator():
    with pytest.raises(CommandError, match="ATTUNE_ADMIN_LOGIN and ATTUNE_ADMIN_PASSWORD"):
        call_command("ensure_admin")


@pytest.mark.usefixtures("chosen")
def test_a_short_password_is_refused(monkeypatch):
    monkeypatch.setenv("ATTUNE_ADMIN_PASSWORD", "short")

    with pytest.raises(CommandError, match="ATTUNE_ADMIN_PASSWORD"):
        call_command("ensure_admin")


def test_a_token_is_printed_bare(capsys, administrator):
    token = said(capsys, "issue_token").strip()

    assert bearer(token) == administrator


@pytest.mark.django_db
def test_no_administrator_no_token():
    with pytest.raises(CommandError, match="no administrator"):
        call_command("issue_token")


def test_a_set_is_assigned_and_removed(capsys, nobody):
    PermissionSet.objects.create(ref="core.viewer")

    given = said(capsys, "assign_permission_set", "nobody", "core.viewer")
    assert PermissionAssignment.objects.filter(identity=nobody).exists()
    taken = said(capsys, "assign_permission_set", "nobody", "core.viewer", "--remove")

    assert (given, taken) == ("nobody has core.viewer\n", "nobody no longer has core.viewer\n")
    assert not PermissionAssignment.objects.exists()


@pytest.mark.parametrize("words", [("nobody", "core.kites"), ("unknown", "core.viewer")])
def test_what_is_not_there_is_named(nobody, words):
    with pytest.raises(CommandError, match=r"kites|unknown"):
        call_command("assign_permission_set", *words)
