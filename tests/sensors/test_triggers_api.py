"""Triggers over HTTP."""

import re

import pytest

from attune_project.packs.models import Pack
from rules.changes import save_rule
from rules.models import Rule
from sensors.models import Timer, Trigger

URL = "/api/v1/triggers"
ITEM = {
    "id", "created", "updated", "ref", "pack", "pack_ref", "label", "description", "enabled", "is_adhoc",
    "webhook_enabled", "webhook_key", "webhook_url", "sensor", "sensor_ref",
}  # fmt: skip
BODY = {"ref": "demo.alarm", "label": "Alarm"}


@pytest.fixture
def pack(db):
    return Pack.objects.create(ref="demo", label="Demo", version="1.0.0")


@pytest.fixture
def make_trigger(pack):
    def make(ref="demo.alarm", **values):
        return Trigger.objects.create(ref=ref, **{"pack": pack, "pack_ref": pack.ref, "label": ref, **values})

    return make


@pytest.fixture
def timed_rule(make_rule):
    """A rule on the core pack's interval timer, armed."""
    rule = save_rule(make_rule(trigger_params={"interval": 10}))
    assert Timer.objects.get().enabled
    return rule


@pytest.fixture
def reader(client_of, identity_with, make_trigger):
    """A client that may read one of two triggers, and no more."""
    make_trigger("demo.seen")
    make_trigger("demo.hidden")
    grant = {"resource": "triggers", "actions": ["read"], "constraints": {"refs": ["demo.seen"]}}
    return client_of(identity_with(grant))


def refs(answer):
    return [row["ref"] for row in answer.json()["data"]]


def test_a_trigger_is_made_in_the_pack_of_its_ref(api, pack):
    answer = api.post(URL, BODY, format="json")

    row = answer.json()["data"]
    assert answer.status_code == 201
    assert row.keys() == ITEM | {"param_schema", "out_schema"}
    assert (row["pack"], row["pack_ref"], row["enabled"], row["is_adhoc"]) == (pack.pk, "demo", True, True)
    assert (row["webhook_enabled"], row["webhook_key"], row["webhook_url"]) == (False, None, None)


def test_a_trigger_may_do_without_a_pack(api, db):
    answer = api.post(URL, BODY, format="json")

    assert (answer.status_code, answer.json()["data"]["pack"]) == (201, None)


def test_a_ref_without_a_dot_belongs_to_the_pack(api, pack):
    answer = api.post(URL, {**BODY, "ref": "alarm", "pack_ref": "demo"}, format="json")

    assert answer.json()["data"]["ref"] == "demo.alarm"


def test_an_unknown_pack_is_404(api, pack):
    answer = api.post(URL, {**BODY, "pack_ref": "gone"}, format="json")

    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


def test_a_ref_that_is_taken_is_409(api, make_trigger):
    make_trigger("demo.alarm")

    assert api.post(URL, BODY, format="json").json()["code"] == "CONFLICT"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"ref": None}, "ref"),
        ({"ref": 7}, "ref"),
        ({"ref": "alarm"}, "ref"),
        ({"ref": "Demo.alarm"}, "ref"),
        ({"ref": "demo.a.b"}, "ref"),
        ({"ref": "other.alarm", "pack_ref": "demo"}, "ref"),
        ({"label": None}, "label"),
        ({"enabled": "yes"}, "enabled"),
        ({"param_schema": "x"}, "param_schema"),
        ({"out_schema": {"a": {"type": "strong"}}}, "out_schema.a.type"),
        ({"out_schema": {"a": {"pattern": "("}}}, "out_schema.properties.a.pattern"),
    ],
)
def test_bad_values_name_their_field(api, pack, changes, field):
    answer = api.post(URL, {**BODY, **changes}, format="json")

    assert (answer.status_code, answer.json()["code"]) == (422, "VALIDATION_ERROR")
    assert answer.json()["details"].keys() == {field}
    assert not Trigger.objects.exists()


def test_a_put_changes_only_what_it_names(api, make_trigger):
    make_trigger(description="old", out_schema={"a": {}})

    answer = api.put(f"{URL}/demo.alarm", {"label": "New", "out_schema": {"op": "clear"}}, format="json")

    row = answer.json()["data"]
    assert (row["label"], row["description"], row["out_schema"]) == ("New", "old", None)


def test_what_was_read_can_be_put_back(api, make_trigger):
    make_trigger(webhook_enabled=True, webhook_key="wh_1")
    row = api.get(f"{URL}/demo.alarm").json()["data"]

    answer = api.put(f"{URL}/demo.alarm", row, format="json")

    assert answer.json()["data"] == {**row, "updated": answer.json()["data"]["updated"]}


def test_a_trigger_never_moves(api, make_trigger):
    make_trigger()

    assert api.put(f"{URL}/demo.alarm", {"ref": "demo.b"}, format="json").status_code == 422


def test_a_trigger_is_deleted_with_its_timers(api, timed_rule):
    answer = api.delete(f"{URL}/core.intervaltimer")

    assert answer.json()["data"]["ref"] == "core.intervaltimer"
    assert not Timer.objects.get().enabled
    assert Rule.objects.get().trigger_ref == "core.intervaltimer"


def test_disabling_stops_the_timers_and_enabling_starts_them_anew(api, timed_rule):
    before = Timer.objects.get()

    disabled = api.post(f"{URL}/core.intervaltimer/disable")
    stopped = Timer.objects.get()
    enabled = api.post(f"{URL}/core.intervaltimer/enable")

    assert (disabled.json()["data"]["enabled"], stopped.enabled) == (False, False)
    assert (enabled.json()["data"]["enabled"], Timer.objects.get().enabled) == (True, True)
    assert Timer.objects.get().activated_at > before.activated_at


def test_enabling_what_is_enabled_changes_nothing(api, timed_rule):
    before = Timer.objects.get()

    answer = api.post(f"{URL}/core.intervaltimer/enable")

    assert answer.status_code == 200
    assert Timer.objects.get().activated_at == before.activated_at


def test_a_put_of_enabled_stops_the_timers_too(api, timed_rule):
    api.put(f"{URL}/core.intervaltimer", {"enabled": False}, format="json")

    assert not Timer.objects.get().enabled


def test_a_list_has_no_schemas_and_standard_packs_first(api, make_trigger):
    core = Pack.objects.create(ref="core", label="Core", version="1.0.0", is_standard=True)
    make_trigger("core.alert", pack=core, pack_ref="core")
    make_trigger("demo.a")
    make_trigger("demo.b", pack=None, pack_ref=None)

    answer = api.get(URL)

    assert refs(answer) == ["core.alert", "demo.a", "demo.b"]
    assert all(row.keys() == ITEM for row in answer.json()["data"])


def test_a_list_costs_the_same_queries_whatever_its_length(
    client_of, identity_with, make_trigger, django_assert_max_num_queries
):
    for number in range(10):
        make_trigger(f"demo.t{number}", webhook_enabled=True, webhook_key=f"wh_{number}")
    client = client_of(identity_with({"resource": "triggers", "actions": ["read", "update"]}))

    with django_assert_max_num_queries(4):
        rows = client.get(URL).json()["data"]

    assert all(row["webhook_key"] for row in rows)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("pack_ref=demo", ["demo.b", "demo.a"]),
        ("pack_ref=other", []),
        ("enabled=false", ["demo.b"]),
        ("webhook_enabled=true", ["demo.a"]),
        ("search=DEMO.B", ["demo.b"]),
    ],
)
def test_a_list_is_filtered(api, make_trigger, query, found):
    make_trigger("demo.a", webhook_enabled=True)
    make_trigger("demo.b", enabled=False)

    assert refs(api.get(f"{URL}?{query}")) == found


def test_a_parameter_that_is_not_known_is_named(api, db):
    answer = api.get(f"{URL}?colour=red")

    assert (answer.status_code, answer.json()["code"]) == (400, "UNKNOWN_FILTER")


def test_enabled_triggers_are_listed(api, make_trigger):
    make_trigger("demo.a")
    make_trigger("demo.b", enabled=False)

    answer = api.get(f"{URL}/enabled")

    assert refs(answer) == ["demo.a"]
    assert answer.json()["pagination"]["total_items"] == 1


def test_the_triggers_of_a_pack(api, make_trigger):
    make_trigger("demo.a")
    make_trigger("other.a", pack=None, pack_ref=None)

    assert refs(api.get("/api/v1/packs/demo/triggers")) == ["demo.a"]
    assert api.get("/api/v1/packs/gone/triggers").status_code == 404


def test_a_webhook_is_opened_with_a_key(api, make_trigger):
    make_trigger()

    row = api.post(f"{URL}/demo.alarm/webhooks/enable").json()["data"]

    assert re.fullmatch(r"wh_[0-9a-f]{32}", row["webhook_key"])
    assert row["webhook_url"] == f"/api/v1/webhooks/{row['webhook_key']}"
    assert row["webhook_enabled"] is True


def test_opening_again_keeps_the_key_and_the_settings(api, make_trigger):
    make_trigger(webhook_enabled=True, webhook_key="wh_1", webhook_config={"payload_size_limit_kb": 5})

    row = api.post(f"{URL}/demo.alarm/webhooks/enable").json()["data"]

    assert row["webhook_key"] == "wh_1"
    assert Trigger.objects.get().webhook_config == {"payload_size_limit_kb": 5}


def test_closing_clears_the_key(api, make_trigger):
    make_trigger(webhook_enabled=True, webhook_key="wh_1")

    row = api.post(f"{URL}/demo.alarm/webhooks/disable").json()["data"]

    assert (row["webhook_enabled"], row["webhook_key"], row["webhook_url"]) == (False, None, None)


def test_a_new_key_replaces_the_old(api, make_trigger):
    make_trigger(webhook_enabled=True, webhook_key="wh_1")

    row = api.post(f"{URL}/demo.alarm/webhooks/regenerate").json()["data"]

    assert row["webhook_key"] != "wh_1"
    assert Trigger.objects.get().webhook_key == row["webhook_key"]


def test_a_closed_webhook_has_no_key_to_replace(api, make_trigger):
    make_trigger()

    answer = api.post(f"{URL}/demo.alarm/webhooks/regenerate")

    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST")


def test_the_settings_of_a_webhook_have_defaults_and_no_secrets(api, make_trigger):
    make_trigger(webhook_config={"hmac": {"enabled": True, "secret": "s3cr3t", "algorithm": "sha512"}})

    answer = api.get(f"{URL}/demo.alarm/webhooks/config")

    off = {"enabled": False}
    assert answer.json()["data"] == {
        "hmac": {"enabled": True, "algorithm": "sha512"}, "timestamp": off, "ip_whitelist": off,
        "rate_limit": off, "payload_size_limit_kb": 1024,
    }  # fmt: skip


def test_the_size_limit_is_set_and_cleared(api, make_trigger):
    make_trigger()
    config = f"{URL}/demo.alarm/webhooks/config"

    set_to = api.put(config, {"payload_size_limit_kb": 7, "hmac": {"enabled": False}}, format="json")
    cleared = api.put(config, {"payload_size_limit_kb": {"op": "clear"}}, format="json")

    assert set_to.json()["data"]["payload_size_limit_kb"] == 7
    assert cleared.json()["data"]["payload_size_limit_kb"] == 1024
    assert Trigger.objects.get().webhook_config == {"hmac": {"enabled": False}}


@pytest.mark.parametrize("guard", ["hmac", "timestamp", "ip_whitelist", "rate_limit"])
def test_a_guard_that_is_not_built_is_refused(api, make_trigger, guard):
    make_trigger()

    answer = api.put(
        f"{URL}/demo.alarm/webhooks/config",
        {guard: {"enabled": True}, "payload_size_limit_kb": 5},
        format="json",
    )

    assert (answer.status_code, answer.json()["code"]) == (422, "VALIDATION_ERROR")
    assert "isn't available yet" in answer.json()["details"][f"{guard}.enabled"][0]
    assert Trigger.objects.get().webhook_config == {}


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ([], "body"),
        ({"hmac": True}, "hmac"),
        ({"hmac": {"enabled": "yes"}}, "hmac.enabled"),
        ({"hmac": {"enabled": False, "secret": "s3cr3t"}}, "hmac.secret"),
        ({"payload_size_limit_kb": 0}, "payload_size_limit_kb"),
        ({"payload_size_limit_kb": 10241}, "payload_size_limit_kb"),
        ({"payload_size_limit_kb": True}, "payload_size_limit_kb"),
        ({"payload_size_limit_kb": "7"}, "payload_size_limit_kb"),
    ],
)
def test_bad_settings_name_their_field(api, make_trigger, config, field):
    make_trigger()

    answer = api.put(f"{URL}/demo.alarm/webhooks/config", config, format="json")

    assert (answer.status_code, list(answer.json()["details"])) == (422, [field])


@pytest.mark.parametrize(
    ("method", "path", "right"),
    [
        ("PUT", "", "update"),
        ("PATCH", "", "update"),
        ("DELETE", "", "delete"),
        ("POST", "/enable", "update"),
        ("POST", "/disable", "update"),
        ("POST", "/webhooks/enable", "update"),
        ("POST", "/webhooks/disable", "update"),
        ("POST", "/webhooks/regenerate", "update"),
        ("GET", "/webhooks/config", "update"),
        ("PUT", "/webhooks/config", "update"),
    ],
)
def test_changes_need_credentials_a_right_and_a_row_that_is_seen(stranger, reader, method, path, right):
    seen = reader.generic(method, f"{URL}/demo.seen{path}", "{}", content_type="application/json")
    hidden = reader.generic(method, f"{URL}/demo.hidden{path}", "{}", content_type="application/json")

    assert stranger.generic(method, f"{URL}/demo.gone{path}").status_code == 401
    assert (seen.status_code, seen.json()["error"]) == (403, f"Permission denied: triggers:{right}")
    assert hidden.status_code == 404


def test_keys_are_shown_to_those_who_may_change_the_trigger(client_of, identity_with, make_trigger):
    make_trigger("demo.mine", webhook_enabled=True, webhook_key="wh_1")
    make_trigger("demo.other", webhook_enabled=True, webhook_key="wh_2")
    client = client_of(
        identity_with(
            {"resource": "triggers", "actions": ["read"]},
            {"resource": "triggers", "actions": ["update"], "constraints": {"refs": ["demo.mine"]}},
        )
    )

    rows = client.get(URL).json()["data"]

    assert {row["ref"]: row["webhook_key"] for row in rows} == {"demo.mine": "wh_1", "demo.other": None}
    assert client.get(f"{URL}/demo.other").json()["data"]["webhook_url"] is None


def test_a_trigger_is_made_only_with_a_right_to_its_pack(client_of, identity_with, pack):
    grant = {"resource": "triggers", "actions": ["create"], "constraints": {"pack_refs": ["mine"]}}
    reader = {"resource": "packs", "actions": ["read"]}
    client = client_of(identity_with(grant, reader))

    answer = client.post(URL, BODY, format="json")

    assert (answer.status_code, answer.json()["error"]) == (403, "Permission denied: triggers:create")


def test_a_hidden_pack_is_not_built_into(client_of, identity_with, pack):
    client = client_of(identity_with({"resource": "triggers", "actions": ["create"]}))

    assert client.post(URL, BODY, format="json").status_code == 404
    assert not Trigger.objects.exists()


@pytest.mark.parametrize("path", ["", "/enabled", "/demo.alarm", "/demo.alarm/webhooks/config"])
def test_a_browser_gets_a_page(api, make_trigger, path):
    make_trigger()

    answer = api.get(URL + path, headers={"Accept": "text/html"})

    assert answer.status_code == 200
    assert "demo.alarm" in answer.content.decode()
