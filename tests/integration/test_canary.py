"""Each hop of the pipeline broken in turn: the canary turns red and says which."""

import pytest

from attune_project.messaging.topology import (
    ENFORCEMENT_CREATED,
    EVENT_CREATED,
    EXECUTION_COMPLETED,
    EXECUTION_REQUESTED,
    MessageType,
)
from tests.integration.spine import Spine, until

pytestmark = [pytest.mark.rabbitmq, pytest.mark.postgres]
HOPS = (EVENT_CREATED, ENFORCEMENT_CREATED, EXECUTION_REQUESTED, EXECUTION_COMPLETED)
QUICKER = """
from rules.changes import save_rule
from rules.models import Rule
rule = Rule.objects.get(ref="core.canary")
rule.trigger_params = {"unit": "seconds", "interval": 5}
save_rule(rule)
"""


@pytest.fixture(scope="module")
def canary(spine: Spine) -> Spine:
    """Everything running, with a canary each 5 s instead of each minute."""
    spine.manage("shell", "-v", "0", "-c", QUICKER)
    spine.start(*spine.missing())
    watched = "SELECT count(*) FROM step WHERE name = 'alerts'"  # nobody is accused just after a start
    assert until(lambda: spine.one(watched), 60)
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
    assert until(lambda: sings(canary), 40), canary.red()
    since = canary.last_event()

    canary.restart(message.consumer, f"deaf:{message.routing_key}")

    named = until(lambda: message.routing_key in (reason(canary) or ""), 30, step=0.5)
    assert named, reason(canary)
    alerted = until(lambda: [one for one in canary.alerts(since) if one.startswith("canary is red")], 15)
    assert alerted, canary.alerts(since)
    canary.restart(message.consumer)
    assert until(lambda: sings(canary), 40), canary.red()
