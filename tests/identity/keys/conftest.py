"""Keys in tests: `make_key("demo.token", value="...", owner_type="pack", owner=pack)`."""

from collections.abc import Callable
from typing import Any

import pytest

from attune_project.identity.keys.storing import save_value
from attune_project.identity.models import Identity, Key
from attune_project.packs.models import Pack


@pytest.fixture
def pack(db: None) -> Pack:
    return Pack.objects.create(ref="demo", label="Demo", version="1.0.0")


@pytest.fixture
def make_key(db: None) -> Callable[..., Key]:
    def make(ref: str = "demo.token", value: Any = "hunter2hunter2", *, owner: Any = None,
             encrypted: bool = True, name: str = "") -> Key:  # fmt: skip
        columns: dict[str, Any] = {"owner_type": "system", "owner": "system"}
        if isinstance(owner, Identity):
            columns = {"owner_type": "identity", "owner": str(owner.pk), "owner_identity": owner}
        elif owner is not None:
            kind = owner._meta.model_name
            columns = {"owner_type": kind, "owner": owner.ref, f"owner_{kind}": owner,
                       f"owner_{kind}_ref": owner.ref}  # fmt: skip
        return save_value(Key(ref=ref, name=name or ref, **columns), value, encrypted=encrypted)

    return make
