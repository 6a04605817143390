"""`POST /executions/execute`."""

import pytest

from attune_project.identity.models import PermissionSet
from attune_project.messaging.topology import EXECUTION_REQUESTED
from executions.models import Execution

URL = "/api/v1/executions"
TRACE = "0b0f7bdc-45ab-4c1c-9d39-6ac0a5f4c2f1"
MARKER = {"$attune_secret": True, "redacted": True}
SECRET = {"user": {"type": "string"}, "token": {"type": "string", "secret": True}}


def execute(client, **body):
    return client.post(f"{URL}/execute", body, format="json")


def test_an_execution_is_scheduled_and_rung(
    api, administrator, make_action, fake_publisher, django_capture_on_commit_callbacks
):
    action = make_action("demo.echo")

    with django_capture_on_commit_callbacks(execute=True):
        answer = execute(api, action_ref="demo.echo", parameters={"message": "hi"})

    row = answer.json()["data"]
    assert answer.status_code == 201
    assert row.keys() == api.get(f"{URL}/{row['id']}").json()["data"].keys()
    assert (row["status"], row["action"], row["executor"]) == ("scheduled", action.pk, administrator.pk)
    assert (row["config"], row["attempts"], row["enforcement"]) == ({"message": "hi"}, [], None)
    assert fake_publisher.rung(EXECUTION_REQUESTED) == [row["id"]]


def test_the_trace_of_the_request_goes_with_the_execution(api, make_action):
    make_action("demo.echo")

    answer = api.post(
        f"{URL}/execute", {"action_ref": "demo.echo"}, format="json", headers={"X-Request-Id": TRACE}
    )

    assert answer.json()["data"]["trace_id"] == TRACE


def test_unfit_parameters_are_no_refusal_but_a_failed_execution(api, make_action):
    make_action("demo.echo", param_schema={"message": {"type": "string", "required": True}})

    answer = execute(api, action_ref="demo.echo", parameters={"extra": 1})

    assert (answer.status_code, answer.json()["data"]["status"]) == (201, "failed")
    assert "message" in answer.json()["data"]["result"]["error"]
    assert answer.json()["data"]["config"] == {"extra": 1}


def test_unfit_parameters_are_refused_when_the_caller_wants_that(api, make_action):
    make_action("demo.echo", param_schema={"message": {"type": "string", "required": True}})

    refused = api.post(f"{URL}/execute?validate=true", {"action_ref": "demo.echo"}, format="json")

    assert (refused.status_code, list(refused.json()["details"])) == (422, ["parameters.message"])
    assert not Execution.objects.exists()


@pytest.mark.parametrize(("word", "status"), [("true", 201), ("false", 201), ("perhaps", 400)])
def test_fit_parameters_pass_that_wish(api, make_action, word, status):
    make_action("demo.echo", param_schema={"message": {"type": "string", "default": "hi"}})

    answer = api.post(f"{URL}/execute?validate={word}", {"action_ref": "demo.echo"}, format="json")

    assert answer.status_code == status


def test_placement_and_environment_are_kept(api, make_action):
    make_action("demo.echo")

    answer = execute(
        api, action_ref="demo.echo", worker_pool="gpu", worker_selector={"a": "b"}, env_vars={"N": " "}
    )

    row = answer.json()["data"]
    assert (row["worker_pool"], row["worker_selector"], row["env_vars"]) == ("gpu", {"a": "b"}, {"N": " "})
    assert row["status_reason"] == "waiting for a worker in pool gpu"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "action_ref"),
        ({"action_ref": 7}, "action_ref"),
        ({"action_ref": "demo.echo", "parameters": []}, "parameters"),
        ({"action_ref": "demo.echo", "env_vars": {"N": 1}}, "env_vars.N"),
        ({"action_ref": "demo.echo", "worker_pool": "a.#"}, "worker_pool"),
        ({"action_ref": "demo.echo", "worker_selector": "x"}, "worker_selector"),
        ({"action_ref": "demo.echo", "worker_selector": {"gpus": 2}}, "worker_selector"),
        ({"action_ref": "demo.echo", "permission_set_refs": "x"}, "permission_set_refs"),
        ({"action_ref": "demo.echo", "permission_set_refs": ["gone"]}, "permission_set_refs"),
    ],
)
def test_bad_values_name_their_field(api, make_action, body, field):
    make_action("demo.echo")

    answer = execute(api, **body)

    assert (answer.status_code, answer.json()["code"]) == (422, "VALIDATION_ERROR")
    assert answer.json()["details"].keys() == {field}
    assert not Execution.objects.exists()


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"{", 400),
        (b"[]", 422),
        (b'{"action_ref": "demo.echo", "parameters": {"a": "\\u0000"}}', 422),
        (b'{"action_ref": "demo.echo", "parameters": {"a": Infinity}}', 422),
        (b'{"action_ref": "demo.echo", "parameters": {"a": %s1%s}}' % (b"[" * 20_000, b"]" * 20_000), 400),
        (b'{"action_ref": "demo.echo", "parameters": {"a": "%s"}}' % (b"x" * 11 * 2**20), 413),
    ],
    ids=["broken", "a list", "NUL", "Infinity", "deep", "11 MiB"],
)
def test_what_is_no_storable_json_is_refused(api, make_action, raw, status):
    make_action("demo.echo")

    answer = api.post(f"{URL}/execute", raw, content_type="application/json")

    assert answer.status_code == status
    assert not Execution.objects.exists()


def test_an_unknown_action_is_404(api, db):
    answer = execute(api, action_ref="demo.gone")

    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


def test_a_hidden_action_is_404_a_visible_one_403(client_of, identity_with, make_action):
    make_action("demo.seen")
    make_action("demo.hidden")
    client = client_of(
        identity_with(
            {"resource": "actions", "actions": ["read"], "constraints": {"refs": ["demo.seen"]}},
            {"resource": "actions", "actions": ["execute"], "constraints": {"refs": ["demo.other"]}},
        )
    )

    assert execute(client, action_ref="demo.hidden").json()["code"] == "NOT_FOUND"
    assert execute(client, action_ref="demo.seen").json()["error"] == "Permission denied: actions:execute"


def test_a_permission_set_is_lent_only_by_who_has_it(client_of, identity_with, make_action):
    make_action("demo.echo")
    grants = [{"resource": "keys", "actions": ["read"], "constraints": {"owner": "any"}}]
    PermissionSet.objects.create(ref="demo.keys", grants=grants)
    run = {"resource": "actions", "actions": ["read", "execute"], "constraints": {"owner": "any"}}
    poor = client_of(identity_with(run, login="poor"))
    rich = client_of(identity_with(run, *grants, login="rich"))

    refused = execute(poor, action_ref="demo.echo", permission_set_refs=["demo.keys"])
    made = execute(rich, action_ref="demo.echo", permission_set_refs=["demo.keys"])

    assert (refused.status_code, refused.json()["error"]) == (403, "Permission denied: permissions:assign")
    assert made.json()["data"]["permission_set_refs"] == ["demo.keys"]


def test_the_answer_to_execute_has_no_secrets(api, make_action):
    make_action("demo.login", param_schema=SECRET)

    answer = execute(api, action_ref="demo.login", parameters={"token": "s3cr3t-value"})

    assert answer.json()["data"]["config"] == {"token": MARKER}
