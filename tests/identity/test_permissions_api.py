import pytest

from attune_project.identity.models import PermissionAssignment, PermissionSet
from attune_project.identity.rbac import allowed

URL = "/api/v1/permissions"
MANAGES = {"resource": "permissions", "actions": ["*"], "constraints": {"owner": "any"}}
WIDE = [{"resource": "rules", "actions": ["*"], "constraints": {"owner": "any"}}]


@pytest.fixture
def permset(db):
    return PermissionSet.objects.create(ref="test.wide", grants=WIDE)


@pytest.fixture
def manager(client_of, identity_with):
    return client_of(identity_with(MANAGES, login="manager"))


def test_sets_are_listed(api, permset):
    permset.roles.create(role="crew")

    shown = api.get(f"{URL}/sets", {"ordering": "ref"}).json()["data"][0]

    assert (shown["ref"], shown["pack"], shown["grants"]) == ("test.wide", None, WIDE)
    assert [one["role"] for one in shown["roles"]] == ["crew"]


def test_a_set_is_assigned_by_login(api, permset, nobody):
    body = {"identity_login": "nobody", "permission_set_ref": "test.wide"}

    made = api.post(f"{URL}/assignments", body, format="json")

    shown = made.json()["data"]
    assert made.status_code == 201
    assert (shown["identity_id"], shown["permission_set_ref"]) == (nobody.pk, "test.wide")
    assert allowed(nobody, "rules", "delete")


def test_a_set_is_assigned_once(api, permset, nobody):
    body = {"identity_id": nobody.pk, "permission_set_ref": "test.wide"}

    answers = [api.post(f"{URL}/assignments", body, format="json").status_code for _ in range(2)]

    assert answers == [201, 409]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"permission_set_ref": "test.wide"}, 422),
        ({"identity_login": "unknown", "permission_set_ref": "test.wide"}, 404),
        ({"identity_login": "nobody", "permission_set_ref": "test.unknown"}, 404),
    ],
)
def test_an_assignment_that_makes_no_sense(api, permset, nobody, body, status):
    assert api.post(f"{URL}/assignments", body, format="json").status_code == status


def test_an_assignment_ends(api, permset, nobody):
    made = PermissionAssignment.objects.create(identity=nobody, permset=permset)

    answer = api.delete(f"{URL}/assignments/{made.pk}")

    assert answer.json()["data"] == {"id": made.pk}
    assert not allowed(nobody, "rules", "delete")


def test_the_assignments_of_an_identity_are_a_bare_array(api, permset, nobody):
    PermissionAssignment.objects.create(identity=nobody, permset=permset)

    answer = api.get(f"/api/v1/identities/{nobody.pk}/permissions")

    assert [one["permission_set_ref"] for one in answer.json()] == ["test.wide"]


def test_roles_join_identities_and_sets(api, permset, nobody):
    of_set = api.post(f"{URL}/sets/{permset.pk}/roles", {"role": "crew"}, format="json")
    of_identity = api.post(f"/api/v1/identities/{nobody.pk}/roles", {"role": "crew"}, format="json")

    assert (of_set.status_code, of_identity.status_code) == (201, 201)
    assert of_identity.json()["data"]["source"] == "manual"
    assert allowed(nobody, "rules", "delete")


def test_roles_end(api, permset, nobody):
    of_set = permset.roles.create(role="crew")
    of_identity = nobody.roles.create(role="crew")

    assert api.delete(f"{URL}/sets/roles/{of_set.pk}").status_code == 200
    assert api.delete(f"/api/v1/identities/roles/{of_identity.pk}").status_code == 200
    assert not permset.roles.exists()


def test_the_rights_of_a_set_are_changed(api, permset):
    grants = [{"resource": "rules", "actions": ["read"]}]

    answer = api.put(f"{URL}/sets/{permset.pk}", {"grants": grants, "ref": "test.other"}, format="json")

    assert (answer.json()["data"]["grants"], answer.json()["data"]["ref"]) == (grants, "test.wide")


def test_rights_that_make_no_sense_are_named(api, permset):
    answer = api.put(f"{URL}/sets/{permset.pk}", {"grants": [{"resource": "kites"}]}, format="json")

    assert answer.status_code == 422
    assert answer.json()["details"].keys() == {"grants[0]"}


def test_nobody_gives_rights_that_they_lack(manager, permset, nobody):
    permset.roles.create(role="crew")
    mine = PermissionSet.objects.get(ref="test.manager")
    refused = [
        manager.post(
            f"{URL}/assignments",
            {"identity_login": "manager", "permission_set_ref": "test.wide"},
            format="json",
        ),
        manager.put(f"{URL}/sets/{mine.pk}", {"grants": WIDE}, format="json"),
        manager.post(f"{URL}/sets/{permset.pk}/roles", {"role": "mine"}, format="json"),
        manager.post(f"/api/v1/identities/{nobody.pk}/roles", {"role": "crew"}, format="json"),
    ]

    assert [answer.status_code for answer in refused] == [403] * 4
    assert {answer.json()["error"] for answer in refused} == {"Permission denied: permissions:assign"}


def test_without_a_right_nothing_is_managed(client_of, nobody, permset):
    client = client_of(nobody)

    assert client.get(f"{URL}/sets").status_code == 403
    assert client.post(f"{URL}/assignments", {}, format="json").status_code == 403
    assert client.delete(f"{URL}/assignments/1").status_code == 403
