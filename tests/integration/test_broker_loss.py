"""The broker goes away, hangs, restarts or forgets everything: work goes on, and messages do it again."""

import os
import time
from collections.abc import Iterator

import pytest

from attune_project.messaging import topology
from tests.integration.load import Load, all_settled, messages_do_the_work
from tests.integration.proxy import Proxy
from tests.integration.servers import (
    Control,
    Node,
    free_port,
    fresh_database,
    live_bindings,
    own_rabbitmq,
)
from tests.integration.spine import SERVICES, Spine, until

pytestmark = [pytest.mark.rabbitmq, pytest.mark.postgres, pytest.mark.timeout(600)]
LONG = os.environ.get("ATTUNE_TEST_LONG") == "1"
AWAY = 60 if LONG else 6
UNDER_LOAD = 60 if LONG else 6
PATIENCE = 180  # seconds; 15 are promised, and what it took is printed


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A RabbitMQ that may be stopped and wiped."""
    with own_rabbitmq(tmp_path_factory.mktemp("node")) as node:
        yield node


@pytest.fixture(scope="module")
def proxy(node: Node) -> Iterator[Proxy]:
    proxy = Proxy(node.url)
    yield proxy
    proxy.close()


@pytest.fixture(scope="module")
def attune(proxy: Proxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spine]:
    """Attune, whose broker is behind the proxy."""
    with fresh_database() as database:
        spine = Spine(database, proxy.url, tmp_path_factory.mktemp("attune"), free_port())
        spine.prepare()
        yield spine
        spine.drop()


@pytest.fixture
def well(attune: Spine, proxy: Proxy) -> Spine:
    """The same with every service running and every message doing its work."""
    proxy.restore()
    missing = attune.missing()
    attune.start(*(name for name in missing if name != "web"))
    if "web" in missing:
        # Should it ever wait for the broker, then for longer than a client has patience.
        attune.start("web", ATTUNE_PUBLISH_TIMEOUT="90")
    assert_messages_do_the_work(attune)
    return attune


def assert_messages_do_the_work(spine: Spine) -> None:
    """Soon no row needs a poll any more."""
    began = time.monotonic()
    assert until(lambda: messages_do_the_work(spine, 5), PATIENCE), spine.red()
    print(f"messages do the work again after {time.monotonic() - began:.1f} s")
    assert until(lambda: messages_do_the_work(spine, 100), PATIENCE), spine.red()


def assert_events_are_taken_at_once(spine: Spine, token: str) -> None:
    for number in range(5):
        status, body = spine.post(
            "/api/v1/events", {"trigger_ref": "it.ping", "payload": {"n": number}}, token
        )

        assert status == 201, body


@pytest.mark.parametrize("way", ["cut", "hang"])
def test_without_a_broker_polls_do_the_work(well: Spine, proxy: Proxy, way: str):
    token, repairs = well.token(), well.repairs()

    getattr(proxy, way)()
    assert_events_are_taken_at_once(well, token)
    load = Load(well, AWAY)

    accepted = load.accepted()
    assert sum(accepted.values()) == 23 * AWAY
    assert all_settled(well, timeout=120)
    assert well.repairs() > repairs
    proxy.restore()
    assert_messages_do_the_work(well)
    assert all(well.alive(name) for name in SERVICES)
    assert well.invariants() == ""


def restart(control: Control) -> None:
    control("stop_app")
    control("start_app")


def wipe(control: Control) -> None:
    control("stop_app")
    control("reset")
    control("start_app")


@pytest.mark.parametrize("blow", [restart, wipe])
def test_a_broker_that_restarts_or_forgets_loses_nothing(well: Spine, node: Node, blow):
    before = well.statuses()["completed"]
    load = Load(well, UNDER_LOAD)
    time.sleep(2)

    blow(node.control)

    accepted = load.accepted()
    assert all_settled(well, timeout=120)
    assert well.statuses() == {"completed": before + accepted["it.ping"]}
    assert_messages_do_the_work(well)
    assert live_bindings(node.control, "/") == set(topology.bindings())
    assert all(well.alive(name) for name in SERVICES)
    assert well.invariants() == ""
