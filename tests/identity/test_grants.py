import pytest

from attune_project.identity.grants import Grant, check_grants, readable


def test_a_grant_covers_its_resource_and_actions():
    grant = Grant("rules", frozenset({"read", "update"}))

    assert grant.covers("rules", "update")
    assert not grant.covers("rules", "delete")
    assert not grant.covers("packs", "read")


def test_a_star_means_all():
    grant = Grant("*", frozenset({"*"}))

    assert grant.covers("rules", "delete")


@pytest.mark.parametrize(
    "entry",
    [
        "text",
        {"resource": "rules"},
        {"resource": "rules", "actions": []},
        {"resource": "rules", "actions": ["fly"]},
        {"resource": "kites", "actions": ["read"]},
        {"resource": "rules", "actions": ["read"], "constraints": []},
        {"resource": "rules", "actions": ["read"], "constraints": {"weather": "fine"}},
        {"resource": "rules", "actions": ["read"], "constraints": {"owner": "somebody"}},
        {"resource": "rules", "actions": ["read"], "constraints": {"refs": []}},
        {"resource": "rules", "actions": ["read"], "constraints": {"refs": "core.echo"}},
        {"resource": "rules", "actions": ["read"], "constraints": {"ids": ["1"]}},
        {"resource": "rules", "actions": ["read"], "constraints": {"pack_refs": [1]}},
    ],
)
def test_a_grant_that_nobody_can_judge_grants_nothing(entry):
    assert readable([entry]) == []
    assert check_grants([entry]).keys() <= {"grants[0]", "grants[0].constraints"}
    assert check_grants([entry])


def test_grants_are_a_list():
    assert readable({"resource": "rules"}) == []
    assert check_grants("rules") == {"grants": ["expected a list"]}


def test_good_grants_have_no_problem():
    good = [{"resource": "rules", "actions": ["*"], "constraints": {"owner": "any", "pack_refs": ["core"]}}]

    assert check_grants(good) == {}
    assert len(readable(good)) == 1
