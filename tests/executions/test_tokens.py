"""The token that a run is given: it opens what the run was lent, while its attempt runs."""

import uuid

import pytest

from attune_project.identity.models import PermissionSet
from executions import lifecycle
from executions.models import Execution
from executions.requesting import Wanted, request_executions
from executions.runners import Control, RunnerSettings
from executions.worker.jobs import job_of, perform
from tests.executions.lives import claim_one, due_now, end, lapse, token_of

pytestmark = pytest.mark.django_db
URL = "/api/v1/executions"
SELF = {"owner": "any", "execution_scope": "self"}
BELOW = {"owner": "any", "execution_scope": "descendants"}


@pytest.fixture
def permission_set(db):
    grants = [{"resource": "executions", "actions": ["read", "cancel"], "constraints": SELF}]
    return PermissionSet.objects.create(ref="demo.own", grants=grants)


@pytest.fixture
def request_one(make_action, administrator, permission_set):
    """Make an execution that is lent `demo.own` by the administrator."""
    action = make_action("demo.script", entrypoint="true", runtime_ref="core.shell", max_retries=1)

    def make(action=action, **wanted):
        values = {"executor_id": administrator.pk, "permission_set_refs": ["demo.own"], **wanted}
        [row_id] = request_executions([Wanted(action, {}, uuid.uuid4(), **values)])
        return row_id

    return make


@pytest.fixture
def start(request_one, worker):
    def make(**wanted):
        request_one(**wanted)
        return claim_one(worker, inline=False)

    return make


def look(client, token, path=""):
    return client.get(URL + path, headers={"Authorization": f"Bearer {token}"})


def test_a_run_sees_itself_and_no_other(start, request_one, stranger):
    claimed = start()
    other = request_one()
    token = token_of(claimed, 60)

    assert [row["id"] for row in look(stranger, token).json()["data"]] == [claimed.id]
    assert look(stranger, token, f"/{claimed.id}").status_code == 200
    assert look(stranger, token, f"/{other}").status_code == 404
    assert stranger.get("/api/v1/rules", headers={"Authorization": f"Bearer {token}"}).status_code == 403


def test_what_is_below_it_it_sees_with_the_right_scope(start, request_one, stranger, permission_set):
    permission_set.grants[0]["constraints"] = BELOW
    permission_set.save()
    claimed = start()
    child, grandchild, _ = (request_one() for _ in range(3))
    Execution.objects.filter(pk=child).update(parent=claimed.id)
    Execution.objects.filter(pk=grandchild).update(parent=child)

    seen = look(stranger, token_of(claimed, 60)).json()["data"]

    assert {row["id"] for row in seen} == {claimed.id, child, grandchild}


@pytest.mark.parametrize("status", ["completed", "failed", "timeout", "cancelled"])
def test_it_ends_with_the_attempt(start, stranger, status):
    claimed = start()
    token = token_of(claimed, 60)

    end(claimed, status)

    assert look(stranger, token).status_code == 401


def test_the_next_attempt_has_another(start, stranger, worker):
    first = start()
    old = token_of(first, 60)
    end(first, "failed")
    due_now()

    second = claim_one(worker, inline=False)

    assert (second.id, second.attempt) == (first.id, 2)
    assert look(stranger, old).status_code == 401
    assert look(stranger, token_of(second, 60)).status_code == 200


def test_it_lasts_while_the_run_is_being_stopped(start, stranger):
    claimed = start()
    token = token_of(claimed, 60)

    lifecycle.cancel(claimed.id)
    assert look(stranger, token).status_code == 200

    end(claimed, "cancelled")
    assert look(stranger, token).status_code == 401


def test_it_ends_with_the_lease(start, stranger):
    claimed = start()
    token = token_of(claimed, 60)

    lapse(claimed.id)

    assert look(stranger, token).status_code == 401


def test_it_starts_nothing_with_rights_that_it_lacks(start, stranger, make_action, permission_set):
    PermissionSet.objects.create(ref="demo.all", grants=[{"resource": "*", "actions": ["*"]}])
    permission_set.grants.append(
        {"resource": "actions", "actions": ["read", "execute"], "constraints": {"owner": "any"}}
    )
    permission_set.save()
    make_action("demo.plain")
    make_action("demo.mighty", default_execution_permission_set_refs=["demo.all"])
    headers = {"Authorization": f"Bearer {token_of(start(), 60)}"}

    def execute(**body):
        return stranger.post(f"{URL}/execute", body, format="json", headers=headers)

    assert execute(action_ref="demo.plain").status_code == 201
    for body in (
        {"action_ref": "demo.mighty"},
        {"action_ref": "demo.plain", "permission_set_refs": ["demo.all"]},
    ):
        refused = execute(**body)
        assert (refused.status_code, refused.json()["error"]) == (
            403,
            "Permission denied: permissions:assign",
        )


@pytest.mark.parametrize(
    "wanted", [{"permission_set_refs": []}, {"executor_id": None}, {"executor_id": 987654321}]
)
def test_without_rights_or_somebody_who_lends_them_there_is_none(start, wanted):
    claimed = start(**wanted)

    assert job_of(claimed).api_token is None


@pytest.mark.usefixtures("worker_service")
@pytest.mark.parametrize(
    ("executor", "why"),
    [
        ("nobody", "who it runs for is gone, is frozen or lacks a grant in it"),
        (None, "it runs for nobody who could lend it: its rule has no owner"),
    ],
)
def test_rights_that_could_not_be_lent_are_told_in_the_result(start, request, api, executor, why):
    executor_id = executor and request.getfixturevalue(executor).pk
    claimed = start(executor_id=executor_id)

    end(claimed, result=perform(claimed, Control(), RunnerSettings()).result)

    row = api.get(f"{URL}/{claimed.id}").json()["data"]
    told = [f"Permission denied: permissions:assign: demo.own was not lent, {why}"]
    assert row["result"]["permission_warnings"] == told
    assert row["result"]["succeeded"]
    assert row["attempts"][0]["result"]["permission_warnings"] == told


@pytest.mark.usefixtures("worker_service")
def test_a_run_that_has_all_its_rights_says_nothing_of_them(start):
    assert "permission_warnings" not in perform(start(), Control(), RunnerSettings()).result


def test_a_builtin_action_has_no_process_to_give_it_to(request_one, make_action, worker):
    request_one(make_action("demo.echo"))

    assert job_of(claim_one(worker)).api_token is None


@pytest.mark.usefixtures("worker_service")
def test_the_action_finds_it_in_its_environment_and_nobody_in_its_output(
    start, make_action, tmp_path, stranger
):
    there = tmp_path / "token"
    script = f'printf %s "$ATTUNE_API_TOKEN" > {there}; echo "token: $ATTUNE_API_TOKEN"'
    claimed = start(action=make_action("demo.leak", entrypoint=script, runtime_ref="core.shell"))

    ended = perform(claimed, Control(), RunnerSettings())

    assert look(stranger, there.read_text(), f"/{claimed.id}").status_code == 200
    assert ended.result["stdout"] == "token: ********\n"
