from attune_project.identity.grants import ACTIONS, RESOURCES


def test_me_without_a_permission_set(client_of, nobody):
    me = client_of(nobody).get("/auth/me").json()["data"]

    assert me == {
        "id": nobody.pk,
        "login": "nobody",
        "display_name": None,
        "auth_provider": "local",
        "is_local": True,
        "can_change_password": True,
        "effective_permissions": [
            {"resource": name, "actions": ["read"]} for name in ("packs", "actions", "triggers", "runtimes")
        ],
        "assigned_permission_set_refs": [],
    }


def test_the_first_administrator_may_do_everything(api):
    me = api.get("/auth/me").json()["data"]

    assert me["effective_permissions"] == [{"resource": name, "actions": list(ACTIONS)} for name in RESOURCES]


def test_me_names_what_was_assigned(client_of, identity_with):
    someone = identity_with({"resource": "rules", "actions": ["read", "update"]})

    me = client_of(someone).get("/auth/me").json()["data"]

    assert me["assigned_permission_set_refs"] == ["test.someone"]
    assert {"resource": "rules", "actions": ["read", "update"]} in me["effective_permissions"]


def test_only_the_display_name_is_mine_to_change(client_of, nobody):
    answer = client_of(nobody).put(
        "/auth/me", {"display_name": "No One", "is_superuser": True}, format="json"
    )

    nobody.refresh_from_db()
    assert answer.json()["data"]["display_name"] == "No One"
    assert (nobody.display_name, nobody.is_superuser) == ("No One", False)


def test_a_display_name_can_be_cleared(client_of, nobody):
    nobody.display_name = "No One"
    nobody.save()

    answer = client_of(nobody).put("/auth/me", {"display_name": {"op": "clear"}}, format="json")

    assert answer.json()["data"]["display_name"] is None


def test_me_needs_somebody(stranger, db):
    answer = stranger.get("/auth/me")

    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")
