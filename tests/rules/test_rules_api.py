"""Rules over HTTP."""

import pytest

from attune_project.identity.models import PermissionSet
from attune_project.packs.models import Pack
from rules.models import Rule, RuleVersion
from sensors.models import Timer, Trigger

URL = "/api/v1/rules"
SHAPE = {
    "id", "created", "updated", "ref", "pack", "pack_ref", "label", "description", "trigger", "trigger_ref",
    "action", "action_ref", "conditions", "action_params", "trigger_params", "permission_set_refs", "enabled",
    "is_adhoc", "type", "owner_identity", "last_error", "last_error_at",
}  # fmt: skip
ALL = {"resource": "*", "actions": ["read"], "constraints": {"owner": "any"}}
EDIT = {"resource": "rules", "actions": ["create", "update", "delete"], "constraints": {"owner": "any"}}
BODY = {
    "ref": "demo.new",
    "pack_ref": "demo",
    "label": "New",
    "trigger_ref": "demo.alarm",
    "action_ref": "demo.say",
}
BAD_REGEX = {"field": "a", "operator": "regex", "value": "("}
CLEAR = {"op": "clear"}


@pytest.fixture
def body(trigger, action):
    return dict(BODY)


def post(api, body, **more):
    return api.post(URL, {**body, **more}, format="json")


def put(api, rule, /, **changes):
    return api.put(f"{URL}/{rule}", changes, format="json")


def refs(answer):
    return [row["ref"] for row in answer.json()["data"]]


def test_a_rule_is_made(api, body, administrator):
    answer = post(api, body, conditions=[{"field": "level", "operator": "gt", "value": 3}])

    row = answer.json()["data"]
    assert answer.status_code == 201
    assert row.keys() == SHAPE
    assert (row["enabled"], row["is_adhoc"], row["type"]) == (True, True, "standard")
    assert row["owner_identity"] == administrator.pk
    assert row["conditions"] == [{"field": "level", "operator": "gt", "value": 3}]


def test_what_is_absent_has_the_contract_s_defaults(api, body):
    row = post(api, body, conditions=None, description=None).json()["data"]

    assert (row["conditions"], row["action_params"], row["trigger_params"]) == ({}, {}, {})
    assert (row["description"], row["permission_set_refs"], row["last_error"]) == (None, None, None)


def test_a_ref_without_a_dot_belongs_to_the_pack(api, body):
    row = post(api, body, ref="short", trigger_ref="alarm", action_ref="say").json()["data"]

    assert (row["ref"], row["trigger_ref"], row["action_ref"]) == ("demo.short", "demo.alarm", "demo.say")


def test_making_a_rule_writes_its_first_version(api, body, administrator):
    post(api, body)

    version = RuleVersion.objects.get(rule_ref="demo.new")
    assert (version.number, version.changed_by) == (1, administrator)
    assert version.definition["action_ref"] == "demo.say"


@pytest.mark.parametrize("name", ["pack_ref", "trigger_ref", "action_ref"])
def test_what_is_named_must_be_there(api, body, name):
    answer = post(api, body, **{name: "demo.absent" if name != "pack_ref" else "absent"})

    assert answer.status_code == 404
    assert name in answer.json()["error"]
    assert not Rule.objects.exists()


def test_a_duplicate_is_a_conflict(api, body):
    post(api, body)

    answer = post(api, body)

    assert (answer.status_code, answer.json()["code"]) == (409, "CONFLICT")
    assert "demo.new" in answer.json()["error"]
    assert RuleVersion.objects.count() == 1


@pytest.mark.parametrize("name", ["ref", "pack_ref", "label", "trigger_ref", "action_ref"])
def test_what_is_required(api, body, name):
    del body[name]

    answer = post(api, body)

    assert answer.status_code == 422
    assert name in answer.json()["details"]


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"ref": "other.new"}, "ref"),
        ({"ref": "demo.a.b"}, "ref"),
        ({"ref": "demo.Upper"}, "ref"),
        ({"label": ""}, "label"),
        ({"enabled": "yes"}, "enabled"),
        ({"type": "odd"}, "type"),
        ({"conditions": "level > 3"}, "conditions"),
        ({"conditions": [{"field": "a", "operator": "near", "value": 1}]}, "conditions[0].operator"),
        ({"conditions": {"all": [BAD_REGEX]}}, "conditions.all[0].value"),
        ({"conditions": {"expression": "1 +"}}, "conditions.expression"),
        ({"conditions": {"trigger.a": {"type": "odd", "pattern": 1}}}, "conditions.trigger.a.type"),
        ({"action_params": {"message": 7}}, "action_params.message"),
        ({"action_params": {"message": "{{ nofunction(1) }}"}}, "action_params.message"),
        ({"action_params": ["message"]}, "action_params"),
        ({"trigger_params": "x"}, "trigger_params"),
        ({"permission_set_refs": "core.admin"}, "permission_set_refs"),
        ({"permission_set_refs": ["no.such"]}, "permission_set_refs"),
    ],
)  # fmt: skip
def test_a_bad_value_is_named(api, body, more, field):
    answer = post(api, body, **more)

    assert (answer.status_code, answer.json()["code"]) == (422, "VALIDATION_ERROR")
    assert field in answer.json()["details"], answer.json()
    assert not Rule.objects.exists()


def test_every_problem_is_named_at_once(api, body):
    odd = {"field": "a", "operator": "near", "value": 1}

    details = post(api, body, conditions=[odd, odd], action_params={"message": 7}).json()["details"]

    assert details.keys() == {"conditions[0].operator", "conditions[1].operator", "action_params.message"}


def test_a_template_fits_whatever_the_schema_says(api, body):
    assert post(api, body, action_params={"message": "{{ event.payload.level }}"}).status_code == 201


def test_bodies_that_are_no_documents(api, body):
    nul = api.post(URL, {**body, "label": "a\x00"}, format="json")
    broken = api.post(URL, b"{", content_type="application/json")
    deep = api.post(URL, b"[" * 20_000, content_type="application/json")

    assert [nul.status_code, broken.status_code, deep.status_code] == [422, 400, 400]
    assert api.post(URL, [], format="json").status_code == 422


def test_a_timer_rule_starts_its_timer(api, body, pack):
    Trigger.objects.create(ref="core.intervaltimer", label="Interval", pack=pack, pack_ref="demo")

    answer = post(api, body, trigger_ref="core.intervaltimer", trigger_params={"interval": 10})

    assert answer.status_code == 201
    assert Timer.objects.get(rule_id=answer.json()["data"]["id"]).next_fire_at is not None


def test_bad_timer_params_are_named(api, body, pack):
    Trigger.objects.create(ref="core.intervaltimer", label="Interval", pack=pack, pack_ref="demo")

    answer = post(api, body, trigger_ref="core.intervaltimer", trigger_params={"interval": 0})

    assert answer.status_code == 422
    assert "trigger_params.interval" in answer.json()["details"]


def test_a_rule_is_shown(api, make_rule):
    rule = make_rule()

    answer = api.get(f"{URL}/demo.rule")

    assert (answer.status_code, answer.json()["data"]["id"]) == (200, rule.pk)
    assert api.get(f"{URL}/demo.absent").status_code == 404


def test_secret_parameters_are_shown_as_a_marker_and_come_back_unchanged(api, make_rule):
    rule = make_rule(action_params={"message": "hi", "token": "s3cret"})

    shown = api.get(f"{URL}/demo.rule").json()["data"]["action_params"]
    put(api, "demo.rule", action_params={**shown, "message": "ho"})

    rule.refresh_from_db()
    assert shown["token"] == {"$attune_secret": True, "redacted": True}
    assert rule.action_params == {"message": "ho", "token": "s3cret"}


def test_a_template_of_a_secret_is_no_secret(api, make_rule):
    make_rule(action_params={"token": "{{ key.token }}"})

    assert api.get(f"{URL}/demo.rule").json()["data"]["action_params"] == {"token": "{{ key.token }}"}


def test_literals_are_hidden_when_nobody_knows_the_schema_any_more(api, make_rule, action):
    make_rule(action_params={"token": "s3cret"})
    action.delete()

    assert "s3cret" not in api.get(f"{URL}/demo.rule").content.decode()


def test_a_put_is_partial(api, make_rule):
    make_rule(description="Why", conditions=[{"field": "a", "operator": "exists"}])

    row = put(api, "demo.rule", label="Other", conditions=None).json()["data"]

    assert (row["label"], row["description"]) == ("Other", "Why")
    assert row["conditions"] == [{"field": "a", "operator": "exists"}]


def test_a_put_clears_what_may_be_null(api, make_rule):
    make_rule(description="Why", permission_set_refs=[])

    row = put(api, "demo.rule", description=CLEAR, permission_set_refs=CLEAR).json()["data"]

    assert (row["description"], row["permission_set_refs"]) == (None, None)


def test_a_put_is_judged_as_the_rule_is_going_to_be(api, make_rule, pack):
    make_rule(trigger_params={"interval": 0})
    Trigger.objects.create(ref="core.intervaltimer", label="Interval", pack=pack, pack_ref="demo")

    answer = put(api, "demo.rule", trigger_ref="core.intervaltimer")

    assert answer.status_code == 422
    assert Rule.objects.get().trigger_ref == "demo.alarm"


@pytest.mark.parametrize(("name", "value"), [("ref", "demo.other"), ("pack_ref", "other")])
def test_ref_and_pack_stay(api, make_rule, name, value):
    make_rule()
    Pack.objects.create(ref="other", label="Other", version="1.0.0")

    answer = put(api, "demo.rule", **{name: value})

    assert answer.status_code == 422
    assert name in answer.json()["details"]


def test_a_rule_whose_trigger_is_gone_asks_for_another(api, make_rule, trigger):
    make_rule()
    trigger.delete()

    answer = put(api, "demo.rule", label="Other")

    assert answer.status_code == 422
    assert "trigger_ref" in answer.json()["details"]


def test_every_change_is_a_version(api, make_rule):
    rule = make_rule()

    put(api, "demo.rule", label="Other")
    put(api, "demo.rule", action_params={"message": "x"})

    versions = RuleVersion.objects.filter(rule_id=rule.pk).order_by("number")
    assert [version.number for version in versions] == [1, 2, 3]
    assert len({version.revision for version in versions}) == 3


def test_a_merge_patch(api, make_rule):
    make_rule(action_params={"message": "a", "more": 1})

    answer = api.patch(
        f"{URL}/demo.rule",
        b'{"action_params": {"more": null, "new": 2}}',
        content_type="application/merge-patch+json",
    )

    assert answer.json()["data"]["action_params"] == {"message": "a", "new": 2}


def test_a_rule_is_deleted_and_its_versions_stay(api, make_rule):
    rule = make_rule()

    answer = api.delete(f"{URL}/demo.rule")

    assert (answer.status_code, answer.json()["success"]) == (200, True)
    assert answer.json()["data"] == {"id": rule.pk, "ref": "demo.rule"}
    assert not Rule.objects.exists()
    assert RuleVersion.objects.latest("number").definition["enabled"] is False


@pytest.mark.parametrize("word", ["enable", "disable"])
def test_switching_is_idempotent(api, make_rule, word):
    rule = make_rule(enabled=word == "disable")

    first = api.post(f"{URL}/demo.rule/{word}")
    second = api.post(f"{URL}/demo.rule/{word}")

    assert [first.status_code, second.status_code] == [200, 200]
    assert second.json()["data"]["enabled"] is (word == "enable")
    assert RuleVersion.objects.filter(rule_id=rule.pk).count() == 2


def test_disabling_stops_the_timer(api, body, pack):
    Trigger.objects.create(ref="core.intervaltimer", label="Interval", pack=pack, pack_ref="demo")
    post(api, body, trigger_ref="core.intervaltimer", trigger_params={"interval": 10})

    api.post(f"{URL}/demo.new/disable")

    assert Timer.objects.get().enabled is False


def test_lists_filter(api, make_rule):
    make_rule("demo.on")
    make_rule("demo.off", enabled=False)

    assert set(refs(api.get(URL))) == {"demo.on", "demo.off"}
    assert refs(api.get(f"{URL}?enabled=false")) == ["demo.off"]
    assert refs(api.get(f"{URL}/enabled")) == ["demo.on"]
    assert refs(api.get(f"{URL}?trigger_ref=demo.none")) == []
    assert refs(api.get(f"{URL}?pack_ref=demo&action_ref=demo.say&ordering=ref")) == ["demo.off", "demo.on"]
    assert api.get(f"{URL}?colour=red").json()["code"] == "UNKNOWN_FILTER"
    assert api.get(f"{URL}?page=0").status_code == 400


def test_list_items_are_whole_rules(api, make_rule):
    make_rule()

    assert api.get(URL).json()["data"][0].keys() == SHAPE


@pytest.mark.parametrize("path", ["actions/demo.say", "triggers/demo.alarm", "packs/demo"])
def test_rules_of_one_row(api, make_rule, path):
    make_rule()

    assert refs(api.get(f"/api/v1/{path}/rules")) == ["demo.rule"]
    assert api.get(f"/api/v1/{path}absent/rules").status_code == 404
    assert api.get(f"/api/v1/{path}/rules?colour=red").status_code == 400
    assert api.post(f"/api/v1/{path}/rules").status_code == 405


def test_a_list_costs_no_query_per_row(api, make_rule, django_assert_max_num_queries):
    for number in range(10):
        make_rule(f"demo.rule{number}")

    with django_assert_max_num_queries(6):
        assert len(refs(api.get(URL))) == 10


def test_without_credentials_nothing_is_said(stranger, make_rule):
    make_rule()

    answers = [stranger.get(URL), stranger.get(f"{URL}/absent"), stranger.post(URL, {}, format="json")]

    assert {answer.status_code for answer in answers} == {401}
    assert stranger.get("/api/v1/actions/absent/rules").status_code == 401


def test_without_a_right(client_of, nobody, body, make_rule):
    make_rule()
    client = client_of(nobody)

    assert client.get(URL).json()["error"] == "Permission denied: rules:read"
    assert post(client, body).json()["error"] == "Permission denied: rules:create"
    assert client.get("/api/v1/packs/demo/rules").status_code == 403


def test_a_reader_changes_nothing(client_of, identity_with, make_rule):
    make_rule()
    client = client_of(identity_with(ALL))

    assert client.get(f"{URL}/demo.rule").status_code == 200
    assert put(client, "demo.rule", label="x").json()["error"] == "Permission denied: rules:update"
    assert client.post(f"{URL}/demo.rule/disable").status_code == 403
    assert client.delete(f"{URL}/demo.rule").json()["error"] == "Permission denied: rules:delete"


def test_what_is_hidden_is_absent(client_of, identity_with, make_rule):
    make_rule()
    mine = {"resource": "rules", "actions": ["*"], "constraints": {"owner": "self"}}
    client = client_of(identity_with(mine))

    assert client.get(URL).json()["data"] == []
    assert client.get(f"{URL}/demo.rule").status_code == 404
    assert client.delete(f"{URL}/demo.rule").status_code == 404


def test_rights_in_one_pack_make_no_rule_in_another(client_of, identity_with, body):
    there = {"resource": "rules", "actions": ["create"], "constraints": {"pack_refs": ["other"]}}

    answer = post(client_of(identity_with(ALL, there)), body)

    assert answer.json()["error"] == "Permission denied: rules:create"


def test_a_change_by_another_makes_the_rule_theirs(client_of, identity_with, make_rule, administrator):
    make_rule(owner_identity=administrator)
    someone = identity_with(ALL, EDIT)

    row = put(client_of(someone), "demo.rule", label="Mine").json()["data"]

    assert row["owner_identity"] == someone.pk


def test_nobody_names_a_permission_set_that_they_lack(client_of, identity_with, body):
    PermissionSet.objects.create(ref="core.wide", grants=[{"resource": "*", "actions": ["*"]}])

    answer = post(client_of(identity_with(ALL, EDIT)), body, permission_set_refs=["core.wide"])

    assert (answer.status_code, answer.json()["error"]) == (403, "Permission denied: permissions:assign")
    assert not Rule.objects.exists()


@pytest.mark.parametrize("enabled", [True, False])
def test_nobody_takes_over_a_rule_with_rights_that_they_lack(client_of, identity_with, make_rule, enabled):
    PermissionSet.objects.create(ref="core.wide", grants=[{"resource": "*", "actions": ["*"]}])
    make_rule(permission_set_refs=["core.wide"], enabled=enabled)
    client = client_of(identity_with(ALL, EDIT))

    assert put(client, "demo.rule", action_params={"message": "mine"}).status_code == 403
    assert client.post(f"{URL}/demo.rule/enable").status_code == (200 if enabled else 403)
    assert client.post(f"{URL}/demo.rule/disable").status_code == 200
