import pytest
from django.urls import reverse

from attune_project.identity.models import Identity, PermissionAssignment, PermissionSet

READS = {"resource": "identities", "actions": ["read"], "constraints": {"owner": "any"}}
WRITES = {"resource": "identities", "actions": ["*"], "constraints": {"owner": "any"}}
MANAGES = {"resource": "permissions", "actions": ["*"], "constraints": {"owner": "any"}}


def page(name, *args):
    return reverse(f"admin:identity_{name}", args=args)


@pytest.fixture
def browser(client):
    """Return the client of a browser in which somebody has logged in."""

    def enter(identity):
        identity.is_staff = True
        identity.save()
        client.force_login(identity)
        return client

    return enter


def test_a_login_opens_the_admin(client, administrator):
    answer = client.post("/admin/login/?next=/admin/", {"username": "root", "password": "the password"})

    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/")
    assert client.get("/admin/").status_code == 200


def test_a_wrong_login_stays_outside(client, administrator):
    answer = client.post("/admin/login/", {"username": "root", "password": "wrong"})

    assert answer.status_code == 200
    assert "correct" in answer.content.decode()


def test_the_admin_shares_the_limit_of_tries(client, administrator):
    for _ in range(11):
        client.post("/admin/login/", {"username": "root", "password": "wrong"})

    client.post("/admin/login/", {"username": "root", "password": "the password"})

    assert client.get("/admin/").status_code == 302


def test_a_login_that_may_not_open_the_admin(client, nobody):
    client.post("/admin/login/?next=/auth/me", {"username": "nobody", "password": "the password"})

    assert client.get("/auth/me").json()["data"]["login"] == "nobody"
    assert client.get("/admin/").status_code == 302


def test_a_session_ends_when_its_identity_is_frozen(browser, administrator):
    client = browser(administrator)
    Identity.objects.update(frozen=True)

    assert client.get("/admin/").status_code == 302


@pytest.mark.parametrize("name", ["identity", "permissionset", "refreshtoken", "ratecounter"])
def test_every_list_opens(browser, administrator, name):
    answer = browser(administrator).get(page(f"{name}_changelist"))

    assert answer.status_code == 200


def test_an_identity_is_made_with_a_password(browser, administrator):
    body = {"login": "new", "usable_password": "true", "password1": "pass-word-1", "password2": "pass-word-1"}
    inlines = {
        f"{name}-{part}_FORMS": "0"
        for name in ("permission_assignments", "roles")
        for part in ("TOTAL", "INITIAL")
    }

    browser(administrator).post(page("identity_add"), {**body, **inlines})

    assert Identity.objects.get(login="new").check_password("pass-word-1")


def test_a_password_is_changed_and_never_shown(browser, administrator, nobody):
    client = browser(administrator)

    client.post(
        f"/admin/identity/identity/{nobody.pk}/password/",
        {"password1": "another 1", "password2": "another 1"},
    )

    nobody.refresh_from_db()
    assert nobody.check_password("another 1")
    assert nobody.password not in client.get(page("identity_change", nobody.pk)).content.decode()


def test_without_a_right_nothing_is_there(browser, nobody):
    client = browser(nobody)

    assert client.get("/admin/").status_code == 200
    assert client.get(page("identity_changelist")).status_code == 403


def test_a_reader_changes_nothing(browser, identity_with, administrator):
    client = browser(identity_with(READS))

    assert client.get(page("identity_changelist")).status_code == 200
    assert client.post(page("identity_change", administrator.pk), {}).status_code == 403
    assert client.get(page("identity_add")).status_code == 403


def test_only_the_first_administrator_touches_an_administrator(browser, identity_with, administrator):
    client = browser(identity_with(WRITES))

    answer = client.post(
        f"/admin/identity/identity/{administrator.pk}/password/",
        {"password1": "mine now", "password2": "mine now"},
    )

    assert answer.status_code == 403


def test_nobody_makes_themselves_an_administrator(browser, identity_with):
    someone = identity_with(WRITES)
    body = {"login": "someone", "attributes": "{}", "is_superuser": "on", "is_staff": "on"}

    browser(someone).post(page("identity_change", someone.pk), body)

    someone.refresh_from_db()
    assert not someone.is_superuser


def permission_set_body(grants):
    inline = {"roles-TOTAL_FORMS": "0", "roles-INITIAL_FORMS": "0"}
    return {"ref": "test.made", "label": "Made", "grants": grants, **inline}


def test_a_permission_set_is_checked(browser, administrator):
    answer = browser(administrator).post(
        page("permissionset_add"), permission_set_body('[{"resource": "kites", "actions": ["fly"]}]')
    )

    assert "unknown resource" in answer.content.decode()
    assert not PermissionSet.objects.exists()


@pytest.mark.parametrize(("resource", "made"), [("packs", False), ("permissions", True)])
def test_nobody_gives_rights_that_they_lack(browser, identity_with, resource, made):
    grants = f'[{{"resource": "{resource}", "actions": ["delete"], "constraints": {{"owner": "any"}}}}]'

    browser(identity_with(MANAGES)).post(page("permissionset_add"), permission_set_body(grants))

    assert PermissionSet.objects.filter(ref="test.made").exists() is made


def test_only_sets_that_the_caller_holds_are_offered(browser, identity_with, nobody):
    PermissionSet.objects.create(ref="test.wide", grants=[{"resource": "*", "actions": ["*"]}])

    text = browser(identity_with(WRITES, MANAGES)).get(page("identity_change", nobody.pk)).content.decode()

    assert "test.someone" in text
    assert "test.wide" not in text


def test_a_list_costs_no_query_per_row(browser, administrator, django_assert_max_num_queries):
    client = browser(administrator)
    for number in range(20):
        Identity.objects.create_user(f"one{number}")

    with django_assert_max_num_queries(8):
        client.get(page("identity_changelist"))


def test_deleting_an_identity_takes_its_assignments(identity_with):
    identity_with(READS).delete()

    assert not PermissionAssignment.objects.exists()
