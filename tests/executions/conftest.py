"""What tests of the executions app start from."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from attune_project.packs.models import Pack, Worker
from executions.models import Action


@pytest.fixture
def pack(db: None) -> Pack:
    return Pack.objects.create(ref="demo", label="Demo", version="1.0.0")


@pytest.fixture
def make_action(pack: Pack) -> Callable[..., Action]:
    """Make actions of the pack: `make_action("demo.echo", param_schema={...})`."""

    def make(ref: str = "demo.echo", **values: Any) -> Action:
        defaults = {"pack": pack, "pack_ref": pack.ref, "label": ref, "entrypoint": "echo"}
        return Action.objects.create(ref=ref, **{**defaults, "runtime_ref": "core.builtin", **values})

    return make


@pytest.fixture
def worker(db: None) -> Worker:
    """A worker's row, without a process behind it."""
    return Worker.objects.create(name=f"w-{uuid.uuid4().hex[:6]}", capabilities={"labels": {}})
