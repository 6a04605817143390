"""What tests of the sensors app start from."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from attune_project.messaging import publisher
from attune_project.messaging.fake import FakePublisher
from attune_project.packs.models import Pack
from executions.models import Action
from rules.models import Rule
from sensors.models import Trigger

MakeRule = Callable[..., Rule]

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


@pytest.fixture
def rung() -> Iterator[FakePublisher]:
    """Catch what is rung instead of sending it."""
    fake = FakePublisher()
    before = publisher.use(fake)
    yield fake
    publisher.use(before)


@pytest.fixture
def make_rule(db: None, rung: FakePublisher) -> MakeRule:
    """Make enabled rules, each on a trigger of the core pack."""
    pack = Pack.objects.create(ref="core", label="Core", version="1.0.0")
    action = Action.objects.create(ref="core.noop", pack=pack, pack_ref="core", label="x", entrypoint="noop")

    def make(trigger_ref: str = "core.intervaltimer", **changes: Any) -> Rule:
        trigger, _ = Trigger.objects.get_or_create(
            ref=trigger_ref, defaults={"label": trigger_ref, "pack": pack, "pack_ref": "core"}
        )
        values = {
            "ref": f"core.rule{Rule.objects.count()}",
            "pack": pack,
            "pack_ref": "core",
            "label": "x",
            "trigger": trigger,
            "trigger_ref": trigger_ref,
            "action": action,
            "action_ref": action.ref,
        }
        return Rule.objects.create(**{**values, **changes})

    return make
