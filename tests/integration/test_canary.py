"""Each hop of the pipeline broken in turn: the canary turns red and says which."""

import pytest

from attune_project.messaging.topology import (
    ENFORCEMENT_CREATED,
    EVENT_CREATED,
    EXECUTION_COMPLETED,
    EXECUTION_REQUESTED,
    MessageType,
)
from tests.integration.spine import Spine, quicken_canary, until

pytestmark = [pytest.mark.rabbitmq, pytest.mark.postgres]
SETTINGS = {"ATTUNE_PROBE_LATE_SECONDS": "10"}  # before that nobody is accused after a start
HOPS = (EVENT_CREATED, ENFORCEMENT_CREATED, EXECUTION_REQUESTED, EXECUTION_COMPLETED)


@pytest.fixture(scope="module")
def canary(spine: Spine) -> Spine:
    """Everything running, with a canary each 5 s instead of each minute."""
    quicken_canary(spine)
    spine.start(*spine.missing())
    watched = "SELECT count(*) FROM step WHERE name = 'alerts'"  # nobody is accused just after a start
    assert until(lambda: spine.one(watched), 180)
    return spine


def reason(spine: Spine) -> str | None:
    """Return what the canary's check says when it is red."""
    return spine.red().get("canary")


def sings(spine: Spine) -> bool:
    """Return whether the last canary went all the way and the check is green."""
    settled = spine.one(
        "SELECT count(*) FROM execution WHERE rule_ref = 'core.canary' AND status = 'completed'"
        " AND settled_at > now() - interval '10 s'"
    )
    return settled > 0 and spine.health()["checks"].get("canary") == {"status": "ok"}


@pytest.mark.parametrize("message", HOPS, ids=lambda message: message.routing_key)
def test_a_broken_hop_turns_the_canary_red_and_is_named(canary: Spine, message: MessageType):
    assert until(lambda: sings(canary), 180), canary.red()
    since = canary.last_event()

    canary.restart(message.consumer, f"deaf:{message.routing_key}")

    named = until(lambda: message.routing_key in (reason(canary) or ""), 180, step=0.5)
    assert named, reason(canary)
    alerted = until(lambda: [one for one in canary.alerts(since) if one.startswith("canary is red")], 90)
    assert alerted, canary.alerts(since)
    canary.restart(message.consumer)
    assert until(lambda: sings(canary), 180), canary.red()
