"""The simulated Attune's content, and steps as small as they can be."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from attune_project.messaging import broker, dispatch, steps
from tests.simulation import world
from tests.simulation.machine import take_here
from tests.simulation.stage import here


@pytest.fixture
def simulated(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let steps claim two rows at a time, messages come to who consumes them, and workers be simulated."""
    run = next(step for step in steps.every() if step.name == "run")
    steps.register(replace(run, verb=take_here, waits_by_design=lambda: False))
    monkeypatch.setattr(steps, "BATCH", 2)
    monkeypatch.setattr(dispatch, "current_service", lambda: here().service)
    monkeypatch.setattr(broker, "is_amqp", lambda: True)
    world.make()
    yield
    steps.register(run)
