"""kill -9 of every service in turn, under load, on both brokers: nothing is lost, nothing is done twice."""

import os
import random
import time
from collections.abc import Iterator

import pytest

from tests.integration.load import RATES, Load, all_settled, marks, messages_do_the_work, unrepeatable
from tests.integration.servers import free_port, fresh_database, fresh_valkey, fresh_vhost
from tests.integration.spine import SERVICES, Spine, until

pytestmark = [pytest.mark.rabbitmq, pytest.mark.postgres, pytest.mark.timeout(900)]
LONG = os.environ.get("ATTUNE_TEST_LONG") == "1"
SECONDS_EACH = 60.0 if LONG else 3.0
BROKERS = {"rabbitmq": fresh_vhost, "valkey": fresh_valkey}


@pytest.fixture(scope="module", params=BROKERS)
def attune(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spine]:
    """Attune under load whose services have been killed, and restarted at once, one after another."""
    leases = {} if LONG else {"ATTUNE_LEASE_SECONDS": "6", "ATTUNE_HEARTBEAT_SECONDS": "1"}
    with fresh_database() as database, BROKERS[request.param]() as broker:
        spine = Spine(database, broker, tmp_path_factory.mktemp(request.param), free_port(), **leases)
        spine.prepare()
        spine.start(*SERVICES)
        yield spine
        spine.drop()


def kill_in_turn(spine: Spine) -> None:
    """Kill each service once, in the short form, or again and again for a minute, and start it at once."""
    for name in random.sample(SERVICES, len(SERVICES)):
        ends = time.monotonic() + SECONDS_EACH
        while time.monotonic() < ends:
            time.sleep(random.uniform(0.5, 1.5))
            spine.kill(name)
            spine.launch(name)
            time.sleep(min(random.uniform(2, 10), max(0.0, ends - time.monotonic())))


def test_nothing_is_lost_and_nothing_is_done_twice(attune: Spine):
    load = Load(attune, SECONDS_EACH * len(SERVICES))

    kill_in_turn(attune)

    accepted = load.accepted()
    assert all(attune.alive(name) for name in SERVICES)
    assert all_settled(attune, timeout=240), {trigger: attune.statuses(trigger) for trigger in RATES}
    assert attune.statuses("it.ping") == {"completed": accepted["it.ping"]}
    assert attune.statuses("it.sleepy") == {"completed": accepted["it.sleepy"]}
    assert_once(attune, accepted["it.once"])
    assert (
        attune.one("SELECT count(*) FROM event WHERE status <> 'decided' AND trigger_ref LIKE 'it.%%'") == 0
    )
    assert until(lambda: attune.invariants() == "", 180, step=5), attune.invariants()
    assert_messages_do_the_work(attune)


def assert_once(spine: Spine, accepted: int) -> None:
    """Each ran to its end once, or was abandoned and never started again."""
    ended, left = unrepeatable(spine), marks(spine)
    assert len(ended) == accepted
    assert set(ended.values()) <= {"completed", "abandoned"}
    assert all(count == 1 for count in left.values()), left
    completed = {row_id for row_id, status in ended.items() if status == "completed"}
    assert {(row_id, mark) for row_id in completed for mark in ("start", "end")} <= set(left)


def assert_messages_do_the_work(spine: Spine) -> None:
    """Consumers and publishers are whole again: soon the polls find nothing."""
    assert until(lambda: not [name for name in spine.red() if name.startswith("probe:")], 180), spine.red()
    assert until(lambda: messages_do_the_work(spine, 100), 180), spine.red()
