"""A whole chain of rows, as the pipeline leaves it, for tests to spoil."""

import uuid
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from attune_project.messaging import publisher
from attune_project.messaging.fake import FakePublisher
from attune_project.packs.models import Pack, Worker
from executions.models import Action, Attempt, Execution
from rules.models import Enforcement, Rule, RuleVersion
from sensors.models import Event, Timer, TimerSlot, Trigger


@pytest.fixture
def rung():
    """Catch what is rung instead of sending it."""
    fake = FakePublisher()
    before = publisher.use(fake)
    yield fake
    publisher.use(before)


@pytest.fixture
def ago():
    """Return the moment so many seconds ago."""
    return lambda seconds: timezone.now() - timedelta(seconds=seconds)


@pytest.fixture
def sql():
    """Run a statement; return its rows, if any."""

    def run(statement: str, *parameters: Any) -> list[tuple]:
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []

    return run


@pytest.fixture
def canary_rule(db, ago):
    """The core pack's canary, as loaded long ago, with its timer."""
    pack = Pack.objects.create(ref="core", label="Core", version="1.0.0")
    common = {"pack": pack, "pack_ref": "core", "label": "x"}
    trigger = Trigger.objects.create(ref="core.intervaltimer", **common)
    Trigger.objects.create(ref="core.alert", **common)
    Trigger.objects.update(updated=ago(10_000))  # enabled all along
    action = Action.objects.create(ref="core.noop", entrypoint="noop", **common)
    params = {"unit": "seconds", "interval": 60}
    rule = Rule.objects.create(
        ref="core.canary",
        trigger=trigger,
        trigger_ref=trigger.ref,
        action=action,
        action_ref=action.ref,
        trigger_params=params,
        **common,
    )
    RuleVersion.objects.create(
        rule=rule,
        rule_ref=rule.ref,
        number=1,
        revision=1,
        definition={
            "trigger_ref": trigger.ref,
            "action_ref": action.ref,
            "conditions": {},
            "enabled": True,
            "type": "standard",
        },
    )
    Timer.objects.create(
        rule=rule,
        trigger_ref=trigger.ref,
        params=params,
        activated_at=ago(5000),
        next_fire_at=timezone.now() + timedelta(seconds=30),
    )
    return rule


@pytest.fixture
def make_chain(canary_rule, ago):
    """Make the rows of one run of the canary; `age` is when its event was recorded, in seconds ago."""

    def make(age: float = 20) -> SimpleNamespace:
        rule, trace, start = canary_rule, uuid.uuid4(), ago(age)

        def at(after: float):
            return start + timedelta(seconds=after)

        event = Event.objects.create(
            trigger=rule.trigger,
            trigger_ref=rule.trigger_ref,
            rule_id=rule.pk,
            rule_ref=rule.ref,
            status="decided",
            decided_at=at(0.01),
            ruleset_revision=1,
            trace_id=trace,
        )
        execution = Execution.objects.create(
            rule_ref=rule.ref,
            action=rule.action,
            action_ref=rule.action_ref,
            status="completed",
            result={"succeeded": True},
            worker=Worker.objects.get_or_create(name="w")[0],
            trace_id=trace,
            scheduled_at=at(0.03),
            started_at=at(0.04),
            finished_at=at(0.05),
            settled_at=at(0.06),
        )
        enforcement = Enforcement.objects.create(
            rule_id=rule.pk,
            rule_ref=rule.ref,
            trigger_ref=rule.trigger_ref,
            event=event,
            status="processed",
            resolved_at=at(0.02),
            rule_version=1,
            execution=execution,
            trace_id=trace,
        )
        Execution.objects.filter(pk=execution.pk).update(
            source_key=f"enforcement:{enforcement.pk}", created=at(0.03)
        )
        attempt = Attempt.objects.create(
            execution=execution, number=1, status="completed", started_at=at(0.04), finished_at=at(0.05)
        )
        Event.objects.filter(pk=event.pk).update(created=at(0))
        Enforcement.objects.filter(pk=enforcement.pk).update(created=at(0.01))
        slot = TimerSlot.objects.create(
            timer=Timer.objects.get(rule=rule), scheduled_for=at(0), outcome="fired", event=event
        )
        return SimpleNamespace(
            event=event, enforcement=enforcement, execution=execution, attempt=attempt, slot=slot, rule=rule
        )

    return make


@pytest.fixture
def chain(make_chain):
    return make_chain()
