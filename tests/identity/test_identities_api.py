import pytest

from attune_project.identity.models import Identity, PermissionSet

URL = "/api/v1/identities"
ALL_IDENTITIES = {"resource": "identities", "actions": ["*"], "constraints": {"owner": "any"}}
MORE = {"resource": "rules", "actions": ["*"], "constraints": {"owner": "any"}}


@pytest.fixture
def keeper(client_of, identity_with):
    """A client of somebody who may do everything with identities, and nothing else."""
    return client_of(identity_with(ALL_IDENTITIES, login="keeper"))


def test_an_identity_is_made(api):
    answer = api.post(URL, {"login": "new", "password": "long enough", "is_superuser": True}, format="json")

    made = Identity.objects.get(login="new")
    assert answer.status_code == 201
    assert made.check_password("long enough")
    assert not made.is_superuser


def test_a_login_is_kept_without_the_blanks_around_it(api):
    answer = api.post(URL, {"login": " new "}, format="json")

    assert answer.json()["data"]["login"] == "new"


def test_an_identity_shows_everything_but_its_password(api, identity_with):
    someone = identity_with(MORE)

    shown = api.get(f"{URL}/{someone.pk}").json()["data"]

    assert "password" not in shown
    assert (shown["login"], shown["is_active"], shown["roles"]) == ("someone", True, [])
    assert [one["permission_set_ref"] for one in shown["direct_permissions"]] == ["test.someone"]


def test_a_list_names_roles_without_a_query_per_row(api, django_assert_num_queries):
    for number in range(10):
        identity = Identity.objects.create_user(f"one{number}")
        identity.roles.create(role="crew")

    with django_assert_num_queries(5):  # the caller, the count, the rows, their roles and assignments
        listed = api.get(URL, {"login": "one3"}).json()["data"]

    assert listed[0]["roles"] == ["crew"]


@pytest.mark.parametrize(
    "body", [{}, {"login": 5}, {"login": "new", "password": "short"}, {"login": "x", "email": "y"}]
)
def test_a_bad_identity_is_422(api, body):
    assert api.post(URL, body, format="json").status_code == 422


def test_a_login_that_is_taken_is_409(api):
    assert api.post(URL, {"login": "root"}, format="json").status_code == 409


def test_a_password_can_be_taken_away(api, nobody):
    api.put(f"{URL}/{nobody.pk}", {"password": {"op": "clear"}}, format="json")

    nobody.refresh_from_db()
    assert nobody.password is None


@pytest.mark.parametrize(("method", "path"), [("post", "/freeze"), ("delete", "")])
def test_the_last_administrator_stays(api, administrator, method, path):
    answer = getattr(api, method)(f"{URL}/{administrator.pk}{path}")

    administrator.refresh_from_db()
    assert (answer.status_code, answer.json()["code"]) == (409, "CONFLICT")
    assert not administrator.frozen


@pytest.mark.parametrize(("method", "path"), [("post", "/freeze"), ("delete", "")])
def test_an_administrator_may_go_when_another_stays(api, administrator, method, path):
    Identity.objects.create_superuser("another", "long enough")

    answer = getattr(api, method)(f"{URL}/{administrator.pk}{path}")

    assert answer.status_code == 200


@pytest.mark.parametrize(("verb", "frozen"), [("freeze", True), ("unfreeze", False)])
def test_an_identity_is_frozen_and_thawed(api, nobody, verb, frozen):
    answer = api.post(f"{URL}/{nobody.pk}/{verb}")

    nobody.refresh_from_db()
    assert (nobody.frozen, answer.json()["data"]["frozen"], answer.json()["data"]["is_active"]) == (
        frozen,
        frozen,
        not frozen,
    )


def test_an_identity_is_deleted(api, nobody):
    answer = api.delete(f"{URL}/{nobody.pk}")

    assert answer.json()["data"] == {"id": nobody.pk}
    assert not Identity.objects.filter(login="nobody").exists()


def test_without_a_right_there_are_no_identities(client_of, nobody):
    answer = client_of(nobody).get(URL)

    assert (answer.status_code, answer.json()["error"]) == (403, "Permission denied: identities:read")


def test_a_keeper_keeps_whoever_has_no_more_rights(keeper, nobody):
    assert keeper.put(f"{URL}/{nobody.pk}", {"password": "another one"}, format="json").status_code == 200
    assert keeper.post(f"{URL}/{nobody.pk}/freeze").status_code == 200
    assert keeper.delete(f"{URL}/{nobody.pk}").status_code == 200


def test_nobody_takes_the_place_of_somebody_with_more_rights(keeper, identity_with, administrator):
    for other in (identity_with(MORE), administrator):
        url = f"{URL}/{other.pk}"

        assert keeper.put(url, {"password": "another one"}, format="json").status_code == 403
        assert keeper.post(f"{url}/freeze").status_code == 403
        assert keeper.delete(url).status_code == 403


def test_registration_is_off_unless_it_is_on(stranger, db):
    answer = stranger.post("/auth/register", {"login": "new", "password": "long enough"}, format="json")

    assert answer.status_code == 403
    assert not Identity.objects.exists()


def test_somebody_registers(stranger, db, settings):
    settings.ATTUNE_SELF_REGISTRATION = True

    answer = stranger.post("/auth/register", {"login": "new", "password": "long enough"}, format="json")
    again = stranger.post("/auth/register", {"login": "new", "password": "long enough"}, format="json")

    assert (answer.status_code, again.status_code) == (200, 409)
    assert answer.json()["data"]["user"]["login"] == "new"


def test_a_registration_is_checked(stranger, db, settings):
    settings.ATTUNE_SELF_REGISTRATION = True

    answer = stranger.post("/auth/register", {"login": "ab", "password": "short"}, format="json")

    assert answer.status_code == 422
    assert answer.json()["details"].keys() == {"login", "password"}
    assert not PermissionSet.objects.exists()
