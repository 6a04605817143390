from pathlib import Path

import pytest
import yaml

from attune_project.identity.grants import ACTIONS, RESOURCES, check_grants, readable
from attune_project.identity.models import Identity, PermissionAssignment, PermissionSet
from attune_project.identity.permission_sets import (
    PermissionSetError,
    save_permission_set,
)
from attune_project.identity.rbac import allowed
from attune_project.packs import core
from attune_project.packs.models import Pack

FILES = sorted((Path(core.__path__[0]) / "permission_sets").glob("*.yaml"))


@pytest.fixture
def pack(db):
    return Pack.objects.create(ref="core", label="Core", version="1.0.0", is_standard=True)


@pytest.fixture
def holder_of(pack):
    """Return a new identity that holds one of the core pack's sets."""

    def make(name):
        data = yaml.safe_load((FILES[0].parent / f"{name}.yaml").read_text())
        identity = Identity.objects.create_user(f"the {name}")
        PermissionAssignment.objects.create(identity=identity, permset=save_permission_set(pack, data))
        return identity

    return make


def rights(identity):
    return {
        f"{resource}:{action}"
        for resource in RESOURCES
        for action in ACTIONS
        if allowed(identity, resource, action)
    }


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_core_sets_have_no_problem(file):
    data = yaml.safe_load(file.read_text())

    assert check_grants(data["grants"]) == {}
    assert data["ref"] == f"core.{file.stem}"


def test_the_four_core_sets_are_there():
    assert [file.stem for file in FILES] == ["admin", "editor", "executor", "viewer"]


READS = {f"{name}:read" for name in RESOURCES if name not in ("identities", "permissions", "audit_log")}
RUNS = READS | {"actions:execute", "executions:cancel"}


def test_a_viewer_reads(holder_of):
    assert rights(holder_of("viewer")) == READS


def test_an_executor_runs_too(holder_of):
    assert rights(holder_of("executor")) == RUNS


def test_an_editor_changes_too(holder_of):
    made = {
        f"{name}:{verb}"
        for name in ("actions", "workflows", "rules", "triggers", "queues")
        for verb in ("create", "update", "delete")
    }
    packs = {"packs:create", "packs:install", "packs:configure"}
    keys = {"keys:create", "keys:update", "keys:decrypt"}

    assert rights(holder_of("editor")) == RUNS | made | packs | keys


def test_an_admin_does_everything(holder_of):
    assert rights(holder_of("admin")) == {
        f"{resource}:{action}" for resource in RESOURCES for action in ACTIONS
    }


def test_saving_again_changes_the_set(pack):
    first = save_permission_set(pack, {"ref": "core.mine", "label": "Old", "grants": []})

    second = save_permission_set(pack, {"ref": "core.mine", "label": "New", "grants": []})

    assert (first.pk, second.label, second.pack_ref) == (second.pk, "New", "core")


@pytest.mark.parametrize(
    "data", [{"ref": "other.mine"}, {"grants": []}, {"ref": "core.mine", "grants": [{}]}]
)
def test_a_bad_set_is_refused(pack, data):
    with pytest.raises(PermissionSetError):
        save_permission_set(pack, data)

    assert not PermissionSet.objects.exists()


def test_a_pack_takes_its_sets_along(pack):
    save_permission_set(pack, {"ref": "core.one", "grants": []})

    pack.delete()

    assert not PermissionSet.objects.exists()


def test_every_grant_of_the_core_sets_can_be_judged():
    for file in FILES:
        grants = yaml.safe_load(file.read_text())["grants"]

        assert len(readable(grants)) == len(grants)
