"""Runs that are under way."""

import uuid

import pytest

from attune_project.packs.models import Pack
from executions.artifacts.folder import RunFolder
from executions.artifacts.storing import Run
from executions.models import Action, Execution


@pytest.fixture
def core(db):
    """A standard pack with an action that everybody sees."""
    core = Pack.objects.create(ref="core", label="Core", version="1.0.0", is_standard=True)
    Action.objects.create(ref="core.echo", pack=core, pack_ref="core", label="Echo", entrypoint="echo")


@pytest.fixture
def make_run(make_action):
    """Make an execution that runs under a lease, as its worker sees it."""

    def make(**values):
        row = Execution.objects.create(
            action=make_action() if "action_ref" not in values else None,
            status="running",
            trace_id=uuid.uuid4(),
            lease_token=uuid.uuid4(),
            **{"action_ref": "demo.echo", **values},
        )
        return Run(row.pk, row.lease_token)

    return make


@pytest.fixture
def run(make_run):
    return make_run()


@pytest.fixture
def left(tmp_path, run):
    """The folder of the run."""
    return RunFolder(tmp_path / "shared", run.id)
