"""An execution is run once more: a new one that names its original."""

import pytest

from attune_project.identity.models import PermissionSet
from executions import lifecycle
from executions.models import Execution
from executions.requesting import Wanted, request_executions

URL = "/api/v1/executions"
TRACE = "0b0f7bdc-45ab-4c1c-9d39-6ac0a5f4c2f1"
MARKER = {"$attune_secret": True, "redacted": True}
SCHEMA = {"user": {"type": "string"}, "token": {"type": "string", "secret": True}}
ANY = {"constraints": {"owner": "any"}}
READ = {"resource": "executions", "actions": ["read"], **ANY}
EXECUTE = {"resource": "actions", "actions": ["read", "execute"], **ANY}


@pytest.fixture
def ended(make_action):
    """Make an execution that has ended: `ended({"user": "u"}, **what_was_wanted)`."""

    def make(parameters=None, action=None, **wanted):
        one = action or make_action("demo.login", param_schema=SCHEMA)
        [row_id] = request_executions([Wanted(one, parameters or {}, TRACE, **wanted)])
        lifecycle.cancel(row_id)
        return Execution.objects.get(pk=row_id)

    return make


def rerun(client, original, **body):
    return client.post(f"{URL}/{original.pk}/rerun", body, format="json")


def made_by(answer):
    assert answer.status_code == 201, answer.json()
    return Execution.objects.get(pk=answer.json()["data"]["id"])


def test_it_is_a_new_execution_of_the_caller_that_names_its_original(api, administrator, ended):
    original = ended(
        {"user": "u"}, worker_pool="gpu", worker_selector={"disk": "ssd"}, env_vars={"A": "b"}, priority=7
    )

    answer = rerun(api, original, reason="the disk was full")

    row = answer.json()["data"]
    new = made_by(answer)
    assert new.pk != original.pk
    assert (row["original_execution"], row["rerun_reason"], row["retry_reason"]) == (
        original.pk,
        "the disk was full",
        "manual_retry",
    )
    assert (row["status"], row["executor"], row["config"]) == ("scheduled", administrator.pk, {"user": "u"})
    assert (new.worker_pool, new.worker_selector, new.env_vars) == ("gpu", {"disk": "ssd"}, {"A": "b"})
    assert (new.priority, new.trace_id != original.trace_id) == (7, True)
    assert [one["id"] for one in api.get(f"{URL}?original_execution={original.pk}").json()["data"]] == [
        new.pk
    ]


def test_a_body_is_not_needed(api, ended):
    original = ended({"user": "u"})

    assert made_by(api.post(f"{URL}/{original.pk}/rerun")).config == {"user": "u"}


def test_given_parameters_replace_all(api, ended):
    original = ended({"user": "u", "extra": 1})

    assert made_by(rerun(api, original, parameters={"user": "v"})).config == {"user": "v"}
    assert made_by(rerun(api, original, parameters={})).config == {}
    assert made_by(rerun(api, original, parameters=None)).config == {"user": "u", "extra": 1}


def test_a_secret_goes_on_without_being_shown(api, ended):
    original = ended({"user": "u", "token": "s3cr3t-value"})

    same = rerun(api, original)
    changed = rerun(api, original, parameters={"user": "v", "token": MARKER})

    assert "s3cr3t-value" not in same.content.decode() + changed.content.decode()
    assert made_by(same).config == {"user": "u", "token": "s3cr3t-value"}
    assert made_by(changed).config == {"user": "v", "token": "s3cr3t-value"}


def test_another_s_secret_isn_t_sent_elsewhere(client_of, identity_with, ended):
    original = ended({"user": "u", "token": "s3cr3t-value"})
    someone = identity_with(READ, EXECUTE)
    client = client_of(someone)

    refused = rerun(client, original, parameters={"user": "v", "token": MARKER})

    assert (refused.status_code, refused.json()["error"]) == (403, "Permission denied: executions:decrypt")
    assert rerun(client, original).status_code == 201
    assert rerun(client, original, parameters={"user": "u", "token": MARKER}).status_code == 201
    assert rerun(client, original, parameters={"user": "v", "token": "mine"}).status_code == 201
    own = ended({"user": "u", "token": "s3cr3t-value"}, original.action, executor_id=someone.pk)
    assert rerun(client, own, parameters={"user": "v", "token": MARKER}).status_code == 201


def test_unfit_parameters_make_one_that_failed(api, ended):
    answer = rerun(api, ended({"user": "u"}), parameters={"user": 1})

    assert made_by(answer).status == "failed"


def test_it_needs_the_right_to_execute_the_action(client_of, identity_with, ended):
    answer = rerun(client_of(identity_with(READ)), ended())

    assert (answer.status_code, answer.json()["error"]) == (403, "Permission denied: actions:execute")


def test_a_hidden_or_absent_original_is_404(client_of, identity_with, ended, stranger):
    original = ended()
    narrow = {**READ, "constraints": {"owner": "any", "refs": ["demo.other"]}}
    client = client_of(identity_with(narrow, EXECUTE))

    assert rerun(client, original).status_code == 404
    assert client.post(f"{URL}/999999/rerun").status_code == 404
    assert rerun(stranger, original).status_code == 401


def test_rights_that_the_caller_lacks_are_not_lent_again(client_of, identity_with, ended):
    PermissionSet.objects.create(ref="demo.keys", grants=[{"resource": "keys", "actions": ["decrypt"]}])
    original = ended({}, permission_set_refs=["demo.keys"])

    answer = rerun(client_of(identity_with(READ, EXECUTE)), original)

    assert (answer.status_code, answer.json()["error"]) == (403, "Permission denied: permissions:assign")


def test_rights_are_carried_over(api, ended):
    PermissionSet.objects.create(ref="demo.keys", grants=[{"resource": "keys", "actions": ["decrypt"]}])

    assert made_by(rerun(api, ended({}, permission_set_refs=["demo.keys"]))).permission_set_refs == [
        "demo.keys"
    ]


def test_an_action_that_is_gone_is_409(api, ended):
    original = ended()
    original.action.delete()

    answer = rerun(api, original)

    assert (answer.status_code, answer.json()["code"]) == (409, "CONFLICT")
    assert "demo.login" in answer.json()["error"]


@pytest.mark.parametrize(
    ("body", "field"),
    [({"parameters": [1]}, "parameters"), ({"reason": 5}, "reason"), ({"reason": "x" * 2001}, "reason")],
)
def test_a_bad_body_is_named(api, ended, body, field):
    answer = rerun(api, ended(), **body)

    assert (answer.status_code, list(answer.json()["details"])) == (422, [field])


def test_the_trace_is_the_request_s(api, ended):
    answer = api.post(
        f"{URL}/{ended().pk}/rerun", headers={"X-Request-Id": "7d3c2a52-8f2f-4f0e-a6f6-4dd1d8d7c0aa"}
    )

    assert answer.json()["data"]["trace_id"] == "7d3c2a52-8f2f-4f0e-a6f6-4dd1d8d7c0aa"
