import pytest

from attune_project.identity.keys.serializers import LARGEST_VALUE
from attune_project.identity.models import Key

URL = "/api/v1/keys"
VALUE = "hunter2hunter2"
BODY = {"ref": "demo.token", "name": "token", "value": VALUE, "owner_type": "system"}
EVERY = {"owner": "any"}


def right(*actions, **constraints):
    return {"resource": "keys", "actions": list(actions), "constraints": constraints or EVERY}


@pytest.fixture
def someone(identity_with, client_of):
    """A client with these rights on keys."""
    return lambda *grants, login="someone": client_of(identity_with(*grants, login=login))


def refs(answer):
    return {row["ref"] for row in answer.json()["data"]}


def test_a_key_is_made_and_shown(api):
    answer = api.post(URL, BODY, format="json")

    assert answer.status_code == 201
    data = answer.json()["data"]
    assert data["value"] == VALUE
    assert data["encrypted"] is True
    assert (data["owner"], data["owner_pack"], data["owner_identity"]) == ("system", None, None)
    assert "encryption_key_hash" not in data
    assert api.get(f"{URL}/demo.token").json()["data"] == data
    assert VALUE not in str(Key.objects.get().value)


@pytest.mark.parametrize("value", [None, 7, True, "", {"op": "clear"}, {"user": "ada", "tokens": ["a"]}])
def test_a_value_is_any_json(api, value):
    answer = api.post(URL, {**BODY, "value": value}, format="json")

    assert (answer.status_code, answer.json()["data"]["value"]) == (201, value)


def test_a_ref_may_have_slashes(api):
    api.post(URL, {**BODY, "ref": "team/demo.token"}, format="json")

    assert api.get(f"{URL}/team/demo.token").json()["data"]["ref"] == "team/demo.token"


def test_lists_have_no_values(api, make_key):
    make_key()
    make_key("demo.plain", "plain", encrypted=False)

    for row in api.get(URL).json()["data"]:
        assert row.keys() == {"id", "ref", "owner_type", "owner", "name", "encrypted", "created"}


def test_each_kind_of_owner(api, pack, nobody, make_key):
    owners = {"pack": {"owner_pack_ref": "demo"}, "identity": {"owner_identity_login": "nobody"}}

    rows = {
        kind: api.post(
            URL, {**BODY, "ref": f"demo.{kind}", "owner_type": kind, **owner}, format="json"
        ).json()["data"]
        for kind, owner in owners.items()
    }

    assert (rows["pack"]["owner"], rows["pack"]["owner_pack"], rows["pack"]["owner_pack_ref"]) == (
        "demo", pack.pk, "demo",
    )  # fmt: skip
    assert (rows["identity"]["owner"], rows["identity"]["owner_identity"]) == (str(nobody.pk), nobody.pk)


def test_keys_of_actions_and_sensors(api, pack):
    from attune_project.packs.models import Runtime
    from executions.models import Action
    from sensors.models import Sensor

    common = {"label": "x", "pack": pack, "pack_ref": "demo", "entrypoint": "x"}
    Action.objects.create(ref="demo.act", **common)
    runtime = Runtime.objects.create(ref="core.shell", name="Shell")
    Sensor.objects.create(ref="demo.see", runtime=runtime, runtime_ref="core.shell", **common)
    for kind, ref in (("action", "demo.act"), ("sensor", "demo.see")):
        body = {**BODY, "ref": f"demo.{kind}", "owner_type": kind, f"owner_{kind}_ref": ref}

        answer = api.post(URL, body, format="json")

        assert (answer.status_code, answer.json()["data"]["owner"]) == (201, ref)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"ref": "two words"}, "ref"),
        ({"ref": "a..b"}, "ref"),
        ({"ref": "Demo.Token"}, "ref"),
        ({"ref": "x" * 256}, "ref"),
        ({"name": ""}, "name"),
        ({"owner_type": "wind"}, "owner_type"),
        ({"owner_type": "pack"}, "owner_pack_ref"),
        ({"owner_type": "identity"}, "owner_identity"),
        ({"owner_pack_ref": "demo"}, "owner_pack_ref"),
        (
            {"owner_type": "identity", "owner_identity": 1, "owner_identity_login": "x"},
            "owner_identity_login",
        ),
        ({"encrypted": "yes"}, "encrypted"),
        ({"value": "x" * LARGEST_VALUE}, "value"),
    ],
)
def test_a_bad_body_is_refused_and_told_why(api, pack, changes, field):
    answer = api.post(URL, {**BODY, **changes}, format="json")

    assert answer.status_code == 422
    assert answer.json()["details"].keys() == {field}
    assert VALUE not in answer.content.decode()


@pytest.mark.parametrize("missing", ["ref", "name", "value", "owner_type"])
def test_a_body_without_what_it_needs_is_refused(api, missing):
    answer = api.post(URL, {name: BODY[name] for name in BODY if name != missing}, format="json")

    assert (answer.status_code, list(answer.json()["details"])) == (422, [missing])


def test_an_owner_that_is_not_there_is_404(api):
    body = {**BODY, "owner_type": "pack", "owner_pack_ref": "gone"}

    assert api.post(URL, body, format="json").status_code == 404


@pytest.mark.parametrize("taken", [{"name": "other"}, {"ref": "demo.other"}])
def test_a_ref_and_a_name_of_an_owner_are_there_once(api, taken):
    api.post(URL, BODY, format="json")

    assert api.post(URL, {**BODY, **taken}, format="json").status_code == 409


def test_a_put_changes_what_it_names(api, make_key):
    make_key()

    answer = api.put(f"{URL}/demo.token", {"value": {"a": 1}, "name": "new"}, format="json")

    data = answer.json()["data"]
    assert (answer.status_code, data["value"], data["name"], data["encrypted"]) == (
        200,
        {"a": 1},
        "new",
        True,
    )
    assert api.put(f"{URL}/demo.token", {"name": "newer"}, format="json").json()["data"]["value"] == {"a": 1}


def test_a_put_may_lay_a_value_open_and_close_it(api, make_key):
    make_key()

    for encrypted in (False, True):
        data = api.put(f"{URL}/demo.token", {"encrypted": encrypted}, format="json").json()["data"]
        assert (data["encrypted"], data["value"]) == (encrypted, VALUE)
        assert (Key.objects.get().value == VALUE) is not encrypted


@pytest.mark.parametrize("moved", [{"ref": "x.y"}, {"owner_type": "pack"}, {"owner_pack_ref": "demo"}])
def test_a_key_keeps_its_ref_and_its_owner(api, pack, make_key, moved):
    make_key()

    answer = api.put(f"{URL}/demo.token", moved, format="json")

    assert (answer.status_code, list(answer.json()["details"])) == (422, list(moved))


def test_a_put_of_what_was_shown_changes_nothing(api, pack, make_key):
    make_key(owner=pack)
    shown = api.get(f"{URL}/demo.token").json()["data"]

    answer = api.put(f"{URL}/demo.token", shown, format="json")

    assert {**answer.json()["data"], "updated": shown["updated"]} == shown


def test_there_is_no_patch(api, make_key):
    make_key()

    assert api.patch(f"{URL}/demo.token", {"name": "x"}, format="json").status_code == 405


def test_a_deletion_names_what_is_gone(api, make_key):
    key_id = make_key().pk

    answer = api.delete(f"{URL}/demo.token")

    assert answer.json()["data"] == {"id": key_id, "ref": "demo.token"}
    assert api.get(f"{URL}/demo.token").status_code == 404


@pytest.fixture
def several(pack, nobody, make_key):
    make_key("demo.pack", owner=pack)
    make_key("demo.system")
    make_key("demo.mine", owner=nobody)
    make_key("demo.plain", encrypted=False)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("owner_type=pack", {"demo.pack"}),
        ("owner_type=pack,system", {"demo.pack", "demo.system", "demo.plain"}),
        ("owner=demo", {"demo.pack"}),
        ("encrypted=false", {"demo.plain"}),
    ],
)
@pytest.mark.usefixtures("several")
def test_filters(api, query, found):
    assert refs(api.get(f"{URL}?{query}")) == found


def test_bad_filters_are_refused(api):
    assert api.get(f"{URL}?owner_type=wind").status_code == 400
    assert api.get(f"{URL}?value=hunter2").status_code == 400


def test_without_decrypt_a_value_is_null(someone, make_key):
    make_key()
    make_key("demo.plain", encrypted=False)
    reader = someone(right("read"))

    assert reader.get(f"{URL}/demo.token").json()["data"]["value"] is None
    assert reader.get(f"{URL}/demo.plain").json()["data"]["value"] is None


def test_decrypt_may_be_given_for_some_keys(someone, make_key):
    make_key("demo.a")
    make_key("demo.b")
    reader = someone(right("read"), right("decrypt", owner="any", refs=["demo.a"]))

    values = [reader.get(f"{URL}/demo.{name}").json()["data"]["value"] for name in "ab"]

    assert values == [VALUE, None]


def test_who_may_update_but_not_decrypt_lays_nothing_open(someone, make_key):
    make_key()
    writer = someone(right("read", "update"))

    assert writer.put(f"{URL}/demo.token", {"encrypted": False}, format="json").status_code == 403
    answer = writer.put(f"{URL}/demo.token", {"value": "another value"}, format="json")

    assert (answer.status_code, answer.json()["data"]["value"]) == (200, None)
    assert Key.objects.get().encrypted


def test_nobody_s_and_strangers_get_nothing(client_of, nobody, stranger, make_key):
    make_key()

    assert stranger.get(f"{URL}/demo.token").status_code == 401
    assert client_of(nobody).get(URL).status_code == 403
    assert client_of(nobody).post(URL, BODY, format="json").status_code == 403


def test_what_can_be_seen_may_still_not_be_changed(someone, make_key):
    make_key()
    reader = someone(right("read"))

    assert reader.put(f"{URL}/demo.token", {"name": "x"}, format="json").status_code == 403
    assert reader.delete(f"{URL}/demo.token").status_code == 403


def test_a_person_s_keys_are_theirs_alone(identity_with, client_of, make_key):
    """As core.editor has it."""
    most = right("read", "update", "decrypt", owner="any", owner_types=["system", "pack", "action", "sensor"])
    grants = most, right("read", "create", "decrypt", owner="self")
    ada, bob = (identity_with(*grants, login=login) for login in ("ada", "bob"))
    make_key("ada.token", owner=ada)
    make_key("demo.token")

    assert client_of(ada).get(f"{URL}/ada.token").json()["data"]["value"] == VALUE
    assert client_of(bob).get(f"{URL}/ada.token").status_code == 404
    assert refs(client_of(bob).get(URL)) == {"demo.token"}
    for_ada = {**BODY, "ref": "bob.gift", "owner_type": "identity", "owner_identity": ada.pk}
    assert client_of(bob).post(URL, for_ada, format="json").status_code == 404
    for_bob = {**BODY, "ref": "bob.token", "owner_type": "identity", "owner_identity_login": "bob"}
    assert client_of(bob).post(URL, for_bob, format="json").status_code == 201


def test_keys_of_a_pack_belong_to_the_pack_s_owner(identity_with, client_of, pack, make_key):
    ada, bob = (identity_with(right("read", owner="self"), login=login) for login in ("ada", "bob"))
    pack.owner = ada
    pack.save()
    make_key(owner=pack)

    assert client_of(ada).get(f"{URL}/demo.token").status_code == 200
    assert client_of(bob).get(f"{URL}/demo.token").status_code == 404


@pytest.mark.parametrize(
    ("constraint", "found"),
    [
        ({"owner_refs": ["demo"]}, {"demo.token"}),
        ({"pack_refs": ["demo"]}, {"demo.token"}),
        ({"owner_types": ["system"]}, {"a.plain"}),
        ({"encrypted": False}, {"a.plain"}),
    ],
)
def test_rights_may_be_for_some_keys(someone, pack, make_key, constraint, found):
    make_key(owner=pack)
    make_key("a.plain", encrypted=False)
    reader = someone(right("read", owner="any", **constraint))

    assert refs(reader.get(URL)) == found
    for ref in ("demo.token", "a.plain"):
        assert reader.get(f"{URL}/{ref}").status_code == (200 if ref in found else 404)


def test_a_key_that_can_not_be_decrypted_says_so_and_takes_another_value(api, make_key):
    make_key()
    Key.objects.update(value="attune1.0.AAAA")

    answer = api.get(f"{URL}/demo.token")
    kept = api.put(f"{URL}/demo.token", {"name": "x"}, format="json")
    given = api.put(f"{URL}/demo.token", {"value": "new"}, format="json")

    assert answer.status_code == kept.status_code == 409
    assert "The key demo.token can't be decrypted" in answer.json()["error"]
    assert (given.status_code, given.json()["data"]["value"]) == (200, "new")
