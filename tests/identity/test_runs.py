"""Tokens of runs: good while the run is on, for what it was lent and no more."""

import jwt
import pytest

from attune_project.identity import runs
from attune_project.identity.grants import check_grants
from attune_project.identity.models import Identity, PermissionAssignment, PermissionSet
from attune_project.identity.rbac import allowed, grants_of, holds, visible
from attune_project.identity.runs import Run, run_of
from attune_project.identity.tokens import Lent, bearer, issue_access, issue_execution
from attune_project.packs.models import Pack
from executions.models import Execution
from sensors.models import Trigger

TRACE = "0b0f7bdc-45ab-4c1c-9d39-6ac0a5f4c2f1"
READ_PACKS = [{"resource": "packs", "actions": ["read"], "constraints": {"owner": "any"}}]
DECRYPT = [{"resource": "keys", "actions": ["decrypt"], "constraints": {"owner": "any"}}]


@pytest.fixture
def on(monkeypatch):
    """The attempts that run, as (execution, attempt)."""
    running = {(7, 1)}
    monkeypatch.setattr(runs, "_is_on", lambda run: (run.execution_id, run.attempt) in running)
    monkeypatch.setattr(runs, "_descendants", lambda execution_id: [8, 9])
    return running


@pytest.fixture
def sets(db):
    return [
        PermissionSet.objects.create(ref="demo.packs", grants=READ_PACKS),
        PermissionSet.objects.create(ref="demo.keys", grants=DECRYPT),
    ]


def issue(identity, *refs, execution_id=7, attempt=1, seconds=60.0):
    return issue_execution(identity.pk, Run(execution_id, attempt, "demo.echo", refs), seconds).token


def asking(client, token):
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def test_a_token_says_of_which_run_it_is_and_until_when(administrator, sets):
    claims = jwt.decode(issue(administrator, "demo.packs", seconds=90), options={"verify_signature": False})

    assert (claims["sub"], claims["login"], claims["token_type"], claims["scope"]) == (
        str(administrator.pk), "root", "execution", "execution",
    )  # fmt: skip
    assert claims["exp"] - claims["iat"] == 90
    assert claims["metadata"] == {
        "execution_id": 7, "attempt": 1, "action_ref": "demo.echo", "permission_set_refs": ["demo.packs"],
    }  # fmt: skip


@pytest.mark.usefixtures("on")
def test_its_rights_are_those_that_were_lent_even_of_an_administrator(administrator, sets):
    Pack.objects.create(ref="core", label="Core", version="1.0.0", is_standard=True)
    caller = bearer(issue(administrator, "demo.packs"))

    assert caller == administrator
    assert allowed(caller, "packs", "read")
    assert not allowed(caller, "keys", "decrypt")
    assert not allowed(caller, "actions", "read"), "what everybody may isn't lent by itself"
    assert list(visible(caller, "packs", Pack.objects.values_list("ref", flat=True))) == ["core"]
    assert not visible(caller, "permissions", PermissionSet.objects.all()).exists()


@pytest.mark.usefixtures("on")
def test_it_lends_no_more_than_it_was_lent(administrator, sets):
    caller = bearer(issue(administrator, "demo.packs"))

    assert holds(caller, grants_of(bearer(issue(administrator, "demo.packs"))))
    assert not holds(caller, grants_of(bearer(issue(administrator, "demo.keys"))))


def test_what_the_identity_lacks_is_not_lent(identity_with, sets):
    identity = identity_with(*READ_PACKS)

    claims = jwt.decode(issue(identity, "demo.packs", "demo.keys"), options={"verify_signature": False})

    assert claims["metadata"]["permission_set_refs"] == ["demo.packs"]
    assert issue(identity, "demo.keys") is None
    assert issue(identity, "demo.unknown") is None
    assert issue(identity) is None


@pytest.mark.usefixtures("on")
def test_what_the_identity_loses_the_run_loses(identity_with, sets):
    identity = identity_with(*READ_PACKS)
    token = issue(identity, "demo.packs")
    assert allowed(bearer(token), "packs", "read")

    PermissionAssignment.objects.filter(identity=identity).delete()

    assert not allowed(bearer(token), "packs", "read")


def test_nobody_s_and_a_frozen_identity_s_runs_get_none(administrator, sets):
    Identity.objects.update(frozen=True)

    assert issue(administrator, "demo.packs") is None
    assert issue_execution(administrator.pk + 1, Run(7, 1, "demo.echo", ("demo.packs",)), 60) == Lent()


def test_it_ends_with_its_attempt(stranger, administrator, sets, on):
    client = asking(stranger, issue(administrator, "demo.packs"))
    assert client.get("/api/v1/packs").status_code == 200

    on.clear()
    on.add((7, 2))

    answer = client.get("/api/v1/packs")
    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")


@pytest.mark.usefixtures("on")
def test_it_ends_by_time(stranger, administrator, sets):
    client = asking(stranger, issue(administrator, "demo.packs", seconds=-1))

    answer = client.get("/api/v1/packs")
    assert (answer.status_code, answer.json()["code"]) == (401, "TOKEN_EXPIRED")


@pytest.mark.usefixtures("on")
def test_a_frozen_identity_s_runs_lose_their_tokens_at_once(stranger, administrator, sets):
    client = asking(stranger, issue(administrator, "demo.packs"))

    Identity.objects.update(frozen=True)

    assert client.get("/api/v1/packs").status_code == 401


@pytest.mark.usefixtures("on")
def test_it_is_never_refreshed(stranger, administrator, sets):
    answer = stranger.post(
        "/auth/refresh", {"refresh_token": issue(administrator, "demo.packs")}, format="json"
    )

    assert answer.status_code == 401


@pytest.mark.usefixtures("on")
def test_me_shows_what_it_is(stranger, administrator, sets):
    me = asking(stranger, issue(administrator, "demo.packs")).get("/auth/me").json()["data"]

    assert (me["id"], me["auth_provider"], me["execution"]) == (administrator.pk, "execution", 7)
    assert (me["is_local"], me["can_change_password"]) == (False, False)
    assert me["assigned_permission_set_refs"] == ["demo.packs"]
    assert me["effective_permissions"] == [{"resource": "packs", "actions": ["read"]}]


@pytest.mark.usefixtures("on")
def test_it_changes_nothing_of_its_identity(stranger, administrator, identity_with, sets):
    grants = [{"resource": "identities", "actions": ["*"], "constraints": {"owner": "any"}}]
    PermissionSet.objects.create(ref="demo.identities", grants=grants)
    client = asking(stranger, issue(administrator, "demo.identities"))

    assert client.put("/auth/me", {"display_name": "x"}, format="json").status_code == 403
    address = f"/api/v1/identities/{administrator.pk}"
    assert client.put(address, {"password": "another one"}, format="json").status_code == 403
    administrator.refresh_from_db()
    assert (administrator.display_name, administrator.is_superuser) == (None, True)


@pytest.mark.parametrize(
    ("constraints", "seen"),
    [
        ({"execution_scope": "self"}, {7}),
        ({"execution_scope": "descendants"}, {7, 8, 9}),
        ({"execution_scope": "any"}, {7, 8, 9, 10}),
        ({"execution_scope": "self", "refs": ["demo.other"]}, set()),
    ],
)
@pytest.mark.usefixtures("on")
def test_a_scope_is_the_run_and_what_is_below_it(administrator, constraints, seen):
    grant = {"resource": "executions", "actions": ["read"], "constraints": {"owner": "any", **constraints}}
    PermissionSet.objects.create(ref="demo.scope", grants=[grant])
    rows = [Execution.objects.create(pk=pk, action_ref="demo.echo", trace_id=TRACE) for pk in (7, 8, 9, 10)]
    caller = bearer(issue(administrator, "demo.scope"))

    found = visible(caller, "executions", Execution.objects.all()).values_list("pk", flat=True)

    assert set(found) == seen
    assert {row.pk for row in rows if allowed(caller, "executions", "read", row)} == seen


@pytest.mark.parametrize("scope", ["self", "descendants"])
def test_a_person_has_no_scope_of_a_run(identity_with, scope):
    constraints = {"owner": "any", "execution_scope": scope}
    identity = identity_with({"resource": "executions", "actions": ["read"], "constraints": constraints})
    row = Execution.objects.create(action_ref="demo.echo", trace_id=TRACE)

    assert not visible(identity, "executions", Execution.objects.all()).exists()
    assert not allowed(identity, "executions", "read", row)


def test_a_scope_is_one_of_three():
    grant = {"resource": "executions", "actions": ["read"], "constraints": {"execution_scope": "mine"}}

    assert check_grants([grant]) == {"grants[0]": ["execution_scope: expected one of self, descendants, any"]}


def test_a_scope_on_what_belongs_to_no_execution_is_nothing(identity_with, on, sets):
    grant = {"resource": "packs", "actions": ["read"], "constraints": {"execution_scope": "self"}}
    identity = identity_with(grant)
    PermissionSet.objects.create(ref="demo.scope", grants=[grant])
    Pack.objects.create(ref="demo", label="Demo", version="1.0.0")

    assert not visible(bearer(issue(identity, "demo.scope")), "packs", Pack.objects.all()).exists()


@pytest.mark.usefixtures("on")
def test_events_are_of_its_own_triggers_only(stranger, administrator):
    for ref in ("demo.alarm", "other.alarm"):
        Trigger.objects.create(ref=ref, label=ref)
    grants = [{"resource": "events", "actions": ["create"]}]
    PermissionSet.objects.create(ref="demo.events", grants=grants)
    client = asking(stranger, issue(administrator, "demo.events"))

    own = client.post("/api/v1/events", {"trigger_ref": "demo.alarm"}, format="json")
    other = client.post("/api/v1/events", {"trigger_ref": "other.alarm"}, format="json")
    both = client.post(
        "/api/v1/events/bulk",
        {"events": [{"trigger_ref": "demo.alarm"}, {"trigger_ref": "other.alarm"}]},
        format="json",
    )

    assert own.status_code == 201
    assert (other.status_code, other.json()["error"]) == (403, "Permission denied: events:create")
    assert [one.get("code") for one in both.json()["data"]] == [None, "FORBIDDEN"]


def test_a_person_s_token_has_no_run(administrator):
    assert bearer(issue_access(administrator)).run is None


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {},
        {"execution_id": "7", "attempt": 1, "action_ref": "a.b", "permission_set_refs": []},
        {"execution_id": 7, "attempt": True, "action_ref": "a.b", "permission_set_refs": []},
        {"execution_id": 2**63, "attempt": 1, "action_ref": "a.b", "permission_set_refs": []},
        {"execution_id": 7, "attempt": 1, "action_ref": None, "permission_set_refs": []},
        {"execution_id": 7, "attempt": 1, "action_ref": "a.b", "permission_set_refs": "x"},
        {"execution_id": 7, "attempt": 1, "action_ref": "a.b", "permission_set_refs": [1]},
    ],
)
def test_other_metadata_are_no_run(metadata):
    assert run_of(metadata) is None


def test_metadata_are_read_as_written():
    run = Run(7, 2, "demo.echo", ("demo.packs",))

    assert run_of(run.as_metadata()) == run
    assert run.pack_ref == "demo"
