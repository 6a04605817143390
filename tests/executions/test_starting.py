"""Who may start an execution, and with which rights."""

import pytest
from rest_framework.exceptions import PermissionDenied

from attune_project.identity.models import Identity, PermissionSet
from attune_project.identity.runs import Run
from attune_project.rest.errors import Unprocessable
from executions.models import Action
from executions.starting import require_rights, require_start

pytestmark = pytest.mark.django_db
EXECUTE = {"resource": "actions", "actions": ["execute"], "constraints": {"owner": "any"}}
DECRYPT = {"resource": "keys", "actions": ["decrypt"], "constraints": {"owner": "any"}}


@pytest.fixture(autouse=True)
def _sets(db):
    PermissionSet.objects.create(ref="demo.execute", grants=[EXECUTE])
    PermissionSet.objects.create(ref="demo.keys", grants=[DECRYPT])


def run_for(identity, *refs):
    """Return the identity as the token of a run brings it."""
    caller = Identity.objects.get(pk=identity.pk)
    caller.run = Run(1, 1, "demo.echo", refs)
    return caller


def test_a_person_may_start_what_has_rights_of_its_own(identity_with, make_action):
    action = make_action(default_execution_permission_set_refs=["demo.keys"])

    require_start(identity_with(EXECUTE), action, [])


def test_a_run_may_not(administrator, make_action):
    action = make_action(default_execution_permission_set_refs=["demo.keys"])

    with pytest.raises(PermissionDenied, match="permissions:assign"):
        require_start(run_for(administrator, "demo.execute"), action, [])
    require_start(run_for(administrator, "demo.execute", "demo.keys"), action, [])


def test_named_rights_take_the_place_of_the_action_s(administrator, make_action):
    action = make_action(default_execution_permission_set_refs=["demo.keys"])

    require_start(run_for(administrator, "demo.execute"), action, ["demo.execute"])


def test_nobody_lends_what_they_lack(identity_with, make_action):
    with pytest.raises(PermissionDenied, match="permissions:assign"):
        require_start(identity_with(EXECUTE), make_action(), ["demo.keys"])


def test_without_the_right_to_execute_nothing_starts(administrator, make_action):
    with pytest.raises(PermissionDenied, match="actions:execute"):
        require_start(run_for(administrator, "demo.keys"), make_action(), [])


def test_a_set_that_is_not_there_is_named(administrator):
    with pytest.raises(Unprocessable, match=r"demo\.nothing"):
        require_rights(administrator, None, ["demo.nothing"])


def test_without_an_action_there_are_only_the_named_rights(administrator):
    require_rights(run_for(administrator), None, [])


def test_a_run_makes_no_rule_of_an_action_with_more_rights(
    administrator, make_action, client_of, monkeypatch
):
    from attune_project.identity import runs, tokens
    from sensors.models import Trigger

    monkeypatch.setattr(runs, "_is_on", lambda run: True)
    grants = [{"resource": "*", "actions": ["read", "create"], "constraints": {"owner": "any"}}]
    PermissionSet.objects.create(ref="demo.rules", grants=grants)
    Trigger.objects.create(ref="demo.alarm", label="Alarm")
    plain, mighty = (
        make_action(),
        make_action("demo.mighty", default_execution_permission_set_refs=["demo.keys"]),
    )
    client = client_of(administrator)
    token = tokens.issue_execution(administrator.pk, Run(1, 1, "demo.echo", ("demo.rules",)), 60).token
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")

    def make(name, action: Action):
        body = {
            "ref": f"demo.{name}", "pack_ref": "demo", "label": name, "trigger_ref": "demo.alarm",
            "action_ref": action.ref,
        }  # fmt: skip
        return client.post("/api/v1/rules", body, format="json")

    assert make("one", plain).status_code == 201
    refused = make("two", mighty)
    assert (refused.status_code, refused.json()["error"]) == (403, "Permission denied: permissions:assign")
