"""Policies over HTTP."""

import pytest

from executions.models import Policy
from tests.executions.policies.conftest import sql

URL = "/api/v1/policies"
SHAPE = {
    "id", "created", "updated", "ref", "pack", "pack_ref", "action_ref", "label", "description", "enabled",
    "method", "threshold", "parameters", "rate_limit", "rate_seconds", "max_queue_length", "max_queue_age",
    "is_adhoc",
}  # fmt: skip
BODY = {"ref": "demo.limit", "action_ref": "demo.echo", "threshold": 2, "method": "enqueue"}
PACK_ONLY = {"resource": "policies", "actions": ["read", "create", "update", "delete"],
             "constraints": {"pack_refs": ["demo"], "owner": "any"}}  # fmt: skip
READ = {"resource": "*", "actions": ["read"], "constraints": {"owner": "any"}}


@pytest.fixture
def echo(make_action):
    return make_action()


def post(api, /, **changes):
    body = {name: value for name, value in {**BODY, **changes}.items() if value is not ...}
    return api.post(URL, body, format="json")


def test_a_policy_is_made(api, echo):
    answer = post(api, parameters=["host"], label="Two at once")

    row = answer.json()["data"]
    assert answer.status_code == 201
    assert row.keys() == SHAPE
    assert (row["pack"], row["pack_ref"]) == (echo.pack_id, "demo")
    assert (row["threshold"], row["method"], row["parameters"]) == (2, "enqueue", ["host"])
    assert (row["enabled"], row["is_adhoc"], row["label"]) == (True, True, "Two at once")
    assert (row["rate_limit"], row["max_queue_age"]) == (None, None)


@pytest.mark.usefixtures("echo")
@pytest.mark.parametrize(
    ("given", "ref"),
    [
        ({"ref": "limit"}, "demo.limit"),
        ({"ref": "limit", "action_ref": ..., "pack_ref": "demo"}, "demo.limit"),
        ({"ref": "limit", "action_ref": ...}, "limit"),
        ({"ref": "ops.limit"}, "ops.limit"),
        ({"ref": "demo.limit", "action_ref": "echo", "pack_ref": "demo"}, "demo.limit"),
    ],
)
def test_a_ref_without_a_dot_is_given_its_pack_where_there_is_one(api, given, ref):
    assert post(api, **given).json()["data"]["ref"] == ref


@pytest.mark.usefixtures("echo")
def test_a_policy_that_is_given_no_ref_gets_one(api):
    first, second = (post(api, ref=...).json()["data"]["ref"] for _ in range(2))

    assert first.startswith("demo.echo-")
    assert first != second


@pytest.mark.usefixtures("echo")
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"threshold": 0}, "threshold"),
        ({"threshold": "2"}, "threshold"),
        ({"threshold": 2**31}, "threshold"),
        ({"threshold": ...}, "threshold"),
        ({"method": ...}, "method"),
        ({"method": "drop"}, "method"),
        ({"parameters": "host"}, "parameters"),
        ({"parameters": ["a", "a"]}, "parameters"),
        ({"parameters": [""]}, "parameters.0"),
        ({"rate_limit": 5}, "rate_seconds"),
        ({"rate_seconds": 5}, "rate_limit"),
        ({"rate_limit": 5, "rate_seconds": 0}, "rate_seconds"),
        ({"rate_limit": 5, "rate_seconds": "60"}, "rate_seconds"),
        ({"max_queue_age": True}, "max_queue_age"),
        ({"max_queue_length": -1}, "max_queue_length"),
        ({"max_queue_age": -1}, "max_queue_age"),
        ({"ref": "Demo.X"}, "ref"),
        ({"ref": "demo.a.b"}, "ref"),
        ({"ref": "demo.x\n"}, "ref"),
    ],
)
def test_bad_values_are_refused_by_field(api, changes, field):
    answer = post(api, **changes)

    assert answer.status_code == 422, answer.json()
    assert list(answer.json()["details"]) == [field]
    assert Policy.objects.count() == 0


@pytest.mark.usefixtures("echo")
@pytest.mark.parametrize("scope", [{"action_ref": "demo.none"}, {"action_ref": ..., "pack_ref": "none"}])
def test_an_unknown_scope_is_not_found(api, scope):
    assert post(api, **scope).status_code == 404


@pytest.mark.usefixtures("echo")
def test_a_known_ref_is_a_conflict(api):
    assert post(api).status_code == 201
    assert post(api).status_code == 409


@pytest.mark.usefixtures("echo")
def test_a_put_changes_what_it_names_and_clears_what_may_be_null(api):
    post(api, rate_limit=5, rate_seconds=60, max_queue_age=1.5)

    changes = {
        "threshold": 7,
        "enabled": False,
        "rate_limit": {"op": "clear"},
        "rate_seconds": {"op": "clear"},
    }
    row = api.put(f"{URL}/demo.limit", changes, format="json").json()["data"]

    assert (row["threshold"], row["enabled"], row["rate_limit"], row["max_queue_age"]) == (
        7,
        False,
        None,
        1.5,
    )
    assert api.get(f"{URL}/demo.limit").json()["data"] == row


@pytest.mark.usefixtures("echo")
def test_a_policy_may_be_put_back_as_it_was_shown(api):
    row = post(api).json()["data"]

    answer = api.put(f"{URL}/demo.limit", row, format="json")

    assert answer.status_code == 200, answer.json()


def test_a_policy_keeps_its_scope(api, echo, make_action):
    make_action("demo.other")
    post(api)

    answer = api.put(f"{URL}/demo.limit", {"action_ref": "demo.other"}, format="json")

    assert (answer.status_code, list(answer.json()["details"])) == (422, ["action_ref"])


@pytest.mark.usefixtures("echo")
def test_a_merge_patch_changes_one_value(api):
    post(api)

    row = api.patch(f"{URL}/demo.limit", {"threshold": 3}, format="json").json()["data"]

    assert row["threshold"] == 3


@pytest.mark.usefixtures("echo")
def test_a_policy_is_deleted(api):
    post(api)

    answer = api.delete(f"{URL}/demo.limit")

    assert answer.json()["data"]["ref"] == "demo.limit"
    assert api.get(f"{URL}/demo.limit").status_code == 404


@pytest.mark.usefixtures("echo")
def test_lists_are_filtered(api):
    post(api)
    post(api, ref="all", action_ref=..., method="cancel", enabled=False)

    def listed(query):
        return [row["ref"] for row in api.get(f"{URL}?{query}").json()["data"]]

    assert listed("") == ["all", "demo.limit"]
    assert listed("action_ref=demo.echo") == ["demo.limit"]
    assert listed("method=cancel,coalesce") == ["all"]
    assert listed("enabled=true") == ["demo.limit"]
    assert api.get(f"{URL}?color=red").status_code == 400


@pytest.mark.usefixtures("echo")
def test_rights_for_a_pack_do_not_reach_beyond_it(client_of, identity_with):
    client = client_of(identity_with(PACK_ONLY, {**READ, "resource": "actions"}))

    assert post(client).status_code == 201
    assert post(client, ref="all", action_ref=...).status_code == 403
    assert Policy.objects.count() == 1


@pytest.mark.usefixtures("echo")
def test_who_may_only_read_changes_nothing(api, client_of, identity_with):
    post(api)
    reader = client_of(identity_with(READ))

    assert reader.get(f"{URL}/demo.limit").status_code == 200
    assert reader.put(f"{URL}/demo.limit", {"threshold": 9}, format="json").status_code == 403
    assert reader.delete(f"{URL}/demo.limit").status_code == 403


def test_strangers_see_nothing(stranger, db):
    assert stranger.get(URL).status_code == 401


def test_queue_stats_have_the_contract_s_fields(api, ask, limit, run):
    limit(1, action_ref="demo.echo")
    ask(4)
    run()

    stats = api.get("/api/v1/actions/demo.echo/queue-stats").json()["data"]

    assert stats.keys() == {
        "action_id", "action_ref", "queue_length", "active_count", "max_concurrent", "oldest_enqueued_at",
        "total_enqueued", "total_completed", "last_updated",
    }  # fmt: skip
    assert (stats["queue_length"], stats["active_count"], stats["max_concurrent"]) == (2, 1, 1)
    assert (stats["total_enqueued"], stats["total_completed"]) == (4, 1)
    assert stats["oldest_enqueued_at"] <= stats["last_updated"]


@pytest.mark.usefixtures("echo")
def test_queue_stats_of_an_action_that_nothing_limits(api):
    stats = api.get("/api/v1/actions/demo.echo/queue-stats").json()["data"]

    assert (stats["queue_length"], stats["max_concurrent"], stats["oldest_enqueued_at"]) == (0, 0, None)


def test_queue_stats_of_an_action_that_is_hidden_are_not_found(api, client_of, nobody, make_action):
    make_action()

    assert client_of(nobody).get("/api/v1/actions/demo.echo/queue-stats").status_code in (403, 404)
    assert api.get("/api/v1/actions/demo.none/queue-stats").status_code == 404


@pytest.mark.usefixtures("echo")
def test_an_execution_is_asked_for_with_a_priority(api, limit):
    limit(1)

    def execute(**more):
        return api.post("/api/v1/executions/execute", {"action_ref": "demo.echo", **more}, format="json")

    assert execute().json()["data"]["status"] == "scheduled"
    row = execute(priority=5).json()["data"]
    assert (row["status"], row["priority"]) == ("requested", 5)
    assert execute(priority=1001).status_code == 422
    assert execute(priority="5").status_code == 422


def test_a_policy_of_a_pack_goes_with_its_pack(pack, limit, ask):
    from attune_project.packs.removal import delete_pack

    limit(1, pack=pack, pack_ref="demo")
    ask(2)

    delete_pack(pack)

    assert Policy.objects.count() == 0
    sql("SET CONSTRAINTS ALL IMMEDIATE")
