"""Who may do what to which artifact: in SQL for lists and in Python for one row, and the two must agree."""

import pytest

from attune_project.identity.models import Identity
from attune_project.identity.rbac import allowed, visible
from executions.models import Artifact

pytestmark = pytest.mark.django_db


@pytest.fixture
def caller(identity_with):
    """Make a caller with a grant on artifacts, to whom the artifact `mine` belongs."""

    def make(constraints, actions=("read", "update")):
        identity = identity_with(
            {"resource": "artifacts", "actions": list(actions), "constraints": constraints}
        )
        other = Identity.objects.create_user("other")
        for ref, owner in {"mine": identity, "theirs": other, "shown": other, "nobodys": None}.items():
            Artifact.objects.create(
                ref=ref,
                type="other",
                scope="action" if ref == "theirs" else "system",
                owner="core.echo" if ref == "theirs" else "",
                pack_ref="core" if ref == "theirs" else None,
                owner_identity=owner,
                visibility="public" if ref == "shown" else "private",
            )
        return identity

    return make


def judged(identity, action):
    shown = set(visible(identity, "artifacts", Artifact.objects.all(), action).values_list("ref", flat=True))
    assert shown == {row.ref for row in Artifact.objects.all() if allowed(identity, "artifacts", action, row)}
    return shown


@pytest.mark.parametrize(
    ("constraints", "read", "update"),
    [
        ({"owner": "any"}, {"mine", "theirs", "shown", "nobodys"}, {"mine", "theirs", "shown", "nobodys"}),
        ({}, {"mine", "shown", "nobodys"}, {"mine", "nobodys"}),
        ({"owner": "self"}, {"mine", "shown"}, {"mine"}),
        ({"owner": "none"}, {"nobodys", "shown"}, {"nobodys"}),
        ({"visibility": ["public"], "owner": "any"}, {"shown"}, {"shown"}),
        ({"visibility": ["private"]}, {"mine", "nobodys"}, {"mine", "nobodys"}),
        ({"owner_types": ["action"], "owner": "any"}, {"theirs"}, {"theirs"}),
        ({"pack_refs": ["core"], "owner": "any"}, {"theirs"}, {"theirs"}),
        ({"refs": ["mine", "shown"]}, {"mine", "shown"}, {"mine"}),
    ],
)
def test_constraints(caller, constraints, read, update):
    identity = caller(constraints)

    assert judged(identity, "read") == read
    assert judged(identity, "update") == update


def test_public_artifacts_are_not_for_who_may_read_none(caller, nobody):
    caller({})

    assert judged(nobody, "read") == set()
