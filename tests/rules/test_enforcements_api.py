"""Enforcements over HTTP."""

import pytest

from rules.enforcing import enforce_pending
from rules.matching import match_pending
from rules.models import Enforcement

URL = "/api/v1/enforcements"
ITEM = {
    "id", "created", "updated", "rule", "rule_ref", "trigger_ref", "event", "status", "condition",
    "rule_version", "execution", "trace_id", "resolved_at",
}  # fmt: skip


@pytest.fixture
def enforcement(make_rule, happen):
    make_rule(action_params={"message": "{{ event.payload.level }}", "token": "{{ event.payload.token }}"})
    happen({"level": "high", "token": "s3cret"})
    match_pending(10)
    enforce_pending(10)
    return Enforcement.objects.get()


def ids(answer):
    return [row["id"] for row in answer.json()["data"]]


def test_items_leave_the_large_columns_out(api, enforcement):
    row = api.get(URL).json()["data"][0]

    assert row.keys() == ITEM
    assert (row["id"], row["rule_ref"], row["status"]) == (enforcement.pk, "demo.rule", "processed")


def test_the_detail_shows_the_payload_of_its_event(api, enforcement):
    row = api.get(f"{URL}/{enforcement.pk}").json()["data"]

    assert row.keys() == ITEM | {"conditions", "config", "payload"}
    assert row["payload"] == {"level": "high", "token": "s3cret"}
    assert row["config"] == {"message": "high", "token": {"$attune_secret": True, "redacted": True}}


def test_without_the_action_every_parameter_is_hidden(api, enforcement, action):
    action.delete()

    config = api.get(f"{URL}/{enforcement.pk}").json()["data"]["config"]

    assert set(map(str, config.values())) == {str({"$attune_secret": True, "redacted": True})}


def test_an_enforcement_outlives_its_event(api, enforcement):
    enforcement.event.delete()

    assert api.get(f"{URL}/{enforcement.pk}").json()["data"]["payload"] is None


def test_lists_filter(api, enforcement):
    hits = ["rule_ref=demo.rule", f"rule={enforcement.rule_id}", f"event={enforcement.event_id}"]
    hits += ["status=processed,created", "trigger_ref=demo.alarm"]
    misses = ["rule_ref=demo.x", "rule=0", "event=0", "status=created", "trigger_ref=demo.x"]

    assert all(ids(api.get(f"{URL}?{word}")) == [enforcement.pk] for word in hits)
    assert all(ids(api.get(f"{URL}?{word}")) == [] for word in misses)


@pytest.mark.parametrize("query", ["colour=red", "page=0", "status=odd", "event=x", "ordering=config"])
def test_a_bad_query_is_refused(api, db, query):
    assert api.get(f"{URL}?{query}").status_code == 400


def test_executions_of_an_enforcement(api, enforcement):
    answer = api.get(f"{URL}/{enforcement.pk}/executions")

    row = answer.json()["data"][0]
    assert (row["id"], row["enforcement"]) == (enforcement.execution_id, enforcement.pk)
    assert answer.json()["pagination"]["total_items"] == 1
    assert ids(api.get(f"{URL}/{enforcement.pk}/executions?status=failed")) == []


@pytest.mark.parametrize("path", ["0", "99999999999999999999", "abc", "0/executions", "abc/executions"])
def test_what_is_absent(api, db, path):
    assert api.get(f"{URL}/{path}").status_code == 404


def test_history_is_only_read(api, enforcement):
    assert api.post(URL, {}, format="json").status_code == 405
    assert api.delete(f"{URL}/{enforcement.pk}").status_code == 405


def test_a_list_costs_no_query_per_row(api, make_rule, happen, django_assert_max_num_queries):
    make_rule()
    for _ in range(10):
        happen()
    match_pending(100)

    with django_assert_max_num_queries(6):
        assert len(ids(api.get(URL))) == 10


def test_who_may_read(stranger, client_of, nobody, enforcement):
    assert stranger.get(f"{URL}/0").status_code == 401
    assert client_of(nobody).get(URL).json()["error"] == "Permission denied: enforcements:read"


def test_executions_need_their_own_right_to_be_seen(client_of, identity_with, enforcement):
    client = client_of(identity_with({"resource": "enforcements", "actions": ["read"]}))

    answer = client.get(f"{URL}/{enforcement.pk}/executions")

    assert (answer.status_code, answer.json()["data"]) == (200, [])


def test_what_is_hidden_is_absent(client_of, identity_with, enforcement):
    elsewhere = {"resource": "enforcements", "actions": ["read"], "constraints": {"pack_refs": ["other"]}}
    client = client_of(identity_with(elsewhere))

    assert client.get(URL).json()["data"] == []
    assert client.get(f"{URL}/{enforcement.pk}").status_code == 404
    assert client.get(f"{URL}/{enforcement.pk}/executions").status_code == 404
