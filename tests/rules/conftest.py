"""A pack with one trigger and one action, and rules between them."""

from collections.abc import Callable
from typing import Any

import pytest

from attune_project.packs.models import Pack
from executions.models import Action
from rules import ruleset
from rules.changes import save_rule
from rules.models import Rule
from sensors.models import Event, Trigger
from sensors.recording import NewEvent, record_event

MakeRule = Callable[..., Rule]


@pytest.fixture(autouse=True)
def _no_rules_of_another_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test's transaction starts the revisions anew, so what an earlier one compiled isn't ours."""
    monkeypatch.setattr(ruleset, "_cached", None)


@pytest.fixture
def pack(db: None) -> Pack:
    return Pack.objects.create(ref="demo", label="Demo", version="1.0.0")


@pytest.fixture
def trigger(pack: Pack) -> Trigger:
    return Trigger.objects.create(ref="demo.alarm", pack=pack, pack_ref="demo", label="Alarm")


@pytest.fixture
def action(pack: Pack) -> Action:
    schema = {"message": {"type": "string"}, "token": {"type": "string", "secret": True}}
    return Action.objects.create(
        ref="demo.say", pack=pack, pack_ref="demo", label="Say", entrypoint="echo", param_schema=schema
    )


@pytest.fixture
def make_rule(trigger: Trigger, action: Action) -> MakeRule:
    """Save an enabled rule with its version: `make_rule("demo.name", conditions=[...])`."""

    def make(ref: str = "demo.rule", **values: Any) -> Rule:
        fixed = {"pack": trigger.pack, "pack_ref": "demo", "label": ref}
        named = {"trigger": trigger, "trigger_ref": trigger.ref, "action": action, "action_ref": action.ref}
        return save_rule(Rule(ref=ref, **{**fixed, **named, **values}))

    return make


@pytest.fixture
def happen(trigger: Trigger) -> Callable[..., Event]:
    """Record an event of the trigger: `happen({"level": 3})`."""

    def make(payload: Any = None, **values: Any) -> Event:
        recorded = record_event(NewEvent(**{"trigger_ref": trigger.ref, "payload": payload, **values}))
        return Event.objects.get(pk=recorded.id)

    return make
