"""Each case is judged twice, in SQL for lists and in Python for one row: the two must agree."""

import pytest

from attune_project.identity.models import (
    Identity,
    IdentityRoleAssignment,
    PermissionSet,
    PermissionSetRoleAssignment,
)
from attune_project.identity.rbac import allowed, visible, visible_or_404
from attune_project.packs.models import Pack


@pytest.fixture
def packs(db):
    """Packs of the caller, of somebody else, of nobody, and the standard one."""
    other = Identity.objects.create_user("other")
    rows = {
        "none": Pack(ref="none"),
        "other": Pack(ref="other", owner=other),
        "mine": Pack(ref="mine"),
        "core": Pack(ref="core", is_standard=True, owner=other),
    }
    for row in rows.values():
        row.label, row.version = row.ref, "1.0.0"
        row.save()
    return rows


def judged(identity, packs, action="read"):
    """Return the refs that `visible` shows, after a look that `allowed` says the same."""
    shown = set(visible(identity, "packs", Pack.objects.all(), action).values_list("ref", flat=True))
    assert shown == {ref for ref, pack in packs.items() if allowed(identity, "packs", action, pack)}
    return shown


@pytest.mark.parametrize(
    ("constraints", "refs"),
    [
        ({"owner": "any"}, {"none", "other", "mine", "core"}),
        ({}, {"none", "mine", "core"}),  # the caller's and nobody's; core is everybody's to read
        ({"owner": "self"}, {"mine", "core"}),
        ({"owner": "none"}, {"none", "core"}),
        ({"owner": "any", "refs": ["other"]}, {"other", "core"}),
        ({"owner": "any", "pack_refs": ["other", "none"]}, {"other", "none", "core"}),
        ({"owner": "self", "refs": ["other"]}, {"core"}),  # AND
        ({"owner": "any", "standard": False}, {"none", "other", "mine", "core"}),
        ({"owner": "any", "owner_types": ["system"]}, {"core"}),  # packs have no owner type to compare
        ({"weather": "fine"}, {"core"}),
    ],
)
def test_constraints(identity_with, packs, constraints, refs):
    identity = identity_with({"resource": "packs", "actions": ["read"], "constraints": constraints})
    Pack.objects.filter(ref="mine").update(owner=identity)
    packs["mine"].owner = identity

    assert judged(identity, packs) == refs


def test_ids_are_compared(identity_with, packs):
    wanted = {"ids": [packs["other"].pk], "owner": "any"}
    identity = identity_with({"resource": "packs", "actions": ["read"], "constraints": wanted})

    assert judged(identity, packs) == {"other", "core"}


def test_grants_are_ored(identity_with, packs):
    one = {"resource": "packs", "actions": ["read"], "constraints": {"refs": ["none"]}}
    two = {"resource": "*", "actions": ["*"], "constraints": {"refs": ["other"], "owner": "any"}}

    assert judged(identity_with(one, two), packs) == {"none", "other", "core"}


def test_everybody_reads_standard_packs_and_changes_none(nobody, packs):
    assert judged(nobody, packs) == {"core"}
    assert judged(nobody, packs, "update") == set()


def test_the_first_administrator_sees_everything(administrator, packs):
    assert judged(administrator, packs, "delete") == set(packs)


def test_a_frozen_administrator_sees_nothing(administrator, packs):
    administrator.frozen = True

    assert judged(administrator, packs) == set()


def test_nobody_at_all_sees_nothing(packs):
    assert judged(None, packs) == set()


def test_roles_bring_their_sets(nobody, packs):
    permset = PermissionSet.objects.create(
        ref="test.role",
        grants=[{"resource": "packs", "actions": ["read"], "constraints": {"refs": ["none"]}}],
    )
    PermissionSetRoleAssignment.objects.create(permset=permset, role="reader")
    IdentityRoleAssignment.objects.create(identity=nobody, role="reader")

    assert judged(nobody, packs) == {"none", "core"}


def test_grants_are_read_once_per_request(identity_with, packs, django_assert_num_queries):
    identity = identity_with({"resource": "packs", "actions": ["read"]})

    with django_assert_num_queries(1):
        allowed(identity, "packs", "read")
        allowed(identity, "rules", "update")
        visible(identity, "packs", Pack.objects.all())


def test_hidden_is_absent(nobody, packs):
    with pytest.raises(Exception, match="Not found"):
        visible_or_404(nobody, "packs", Pack.objects.all(), ref="other")
