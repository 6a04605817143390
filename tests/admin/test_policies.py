"""The pages of policies: made and changed as by the API, queues and slots only looked at."""

import uuid

import pytest

from executions.models import Policy, PolicyGroup, PolicySlot
from executions.requesting import Wanted, request_executions
from tests.admin.conftest import page

FORM = {
    "ref": "limit", "pack": "", "action_ref": "", "label": "", "description": "", "enabled": "on",
    "method": "enqueue", "threshold": "2", "parameters": "", "rate_limit": "", "rate_seconds": "",
    "max_queue_length": "", "max_queue_age": "",
}  # fmt: skip
OF_PACK = {
    "resource": "policies",
    "actions": ["read", "create", "update", "delete"],
    "constraints": {"pack_refs": ["demo"], "owner": "any"},
}


def add(desk, **changes):
    return desk.post(page("executions_policy_add"), {**FORM, **changes})


def errors(answer):
    return dict(answer.context["adminform"].form.errors)


def test_a_policy_is_made_and_changed(desk, action):
    assert add(desk, action_ref=action.ref, parameters="host,port").status_code == 302
    policy = Policy.objects.get()
    assert (policy.pack, policy.pack_ref, policy.parameters) == (action.pack, "demo", ["host", "port"])

    address = page("executions_policy_change", policy.pk)
    assert desk.post(address, {**FORM, "threshold": "5"}).status_code == 302

    policy.refresh_from_db()
    assert (policy.threshold, policy.action_ref, policy.label) == (5, action.ref, None)


@pytest.mark.usefixtures("action")
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"ref": "Not A Ref"}, "ref"),
        ({"threshold": "0"}, "threshold"),
        ({"rate_limit": "3"}, "rate_seconds"),
        ({"parameters": "a,a"}, "parameters"),
        ({"action_ref": "demo.none"}, "action_ref"),
    ],
)
def test_what_the_api_refuses_is_refused_here(desk, changes, field):
    answer = add(desk, **changes)

    assert answer.status_code == 200
    assert list(errors(answer)) == [field]
    assert Policy.objects.count() == 0


def test_rights_for_a_pack_do_not_reach_beyond_it(browser, identity_with, action):
    desk = browser(identity_with(OF_PACK, {"resource": "*", "actions": ["read"]}))

    assert list(errors(add(desk))) == ["pack"]
    assert add(desk, pack=str(action.pack_id)).status_code == 302


def test_queues_and_slots_are_shown_and_go_with_the_policy(desk, action):
    add(desk, threshold="1")
    request_executions([Wanted(action, {}, uuid.uuid4()) for _ in range(3)])

    groups = desk.get(page("executions_policygroup_changelist")).content.decode()
    slots = desk.get(page("executions_policyslot_changelist")).content.decode()
    assert "limit" in groups
    assert "limit" in slots
    group, slot = PolicyGroup.objects.get(), PolicySlot.objects.get()
    assert desk.get(page("executions_policygroup_change", group.pk)).status_code == 200
    assert desk.get(page("executions_policyslot_change", slot.pk)).status_code == 200
    assert desk.get(page("executions_policygroup_add")).status_code == 403

    policy = Policy.objects.get()
    answer = desk.post(page("executions_policy_delete", policy.pk), {"post": "yes"})

    assert answer.status_code == 302
    assert (Policy.objects.count(), PolicySlot.objects.count()) == (0, 0)


def test_who_may_not_see_a_policy_sees_no_queue_of_it(browser, identity_with, desk, action):
    add(desk, threshold="1")
    request_executions([Wanted(action, {}, uuid.uuid4())])
    other = browser(identity_with(OF_PACK))

    assert "limit" not in other.get(page("executions_policygroup_changelist")).content.decode()
    assert other.get(page("executions_policygroup_change", PolicyGroup.objects.get().pk)).status_code != 200
