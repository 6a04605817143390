"""What is done to each system while it works, and undone."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kombu import Connection

from tests.chaos.comparison.systems import System
from tests.integration.servers import Node, on_server
from tests.integration.spine import until

FROZEN_SECONDS = 40.0
AWAY_SECONDS = 5.0


@dataclass
class Scene:
    """Where it happens: the system, its broker, the name of its database, the first number of its events."""

    system: System
    node: Node
    database: str
    first: int


@dataclass(frozen=True)
class Fault:
    name: str
    meaning: str
    happen: Callable[[Scene], None]
    poison: int = 0  # so many events kill whoever runs them


def _children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task")
    return [int(child) for task in path.iterdir() for child in (task / "children").read_text().split()]


def child_killed(scene: Scene) -> None:
    """Kill what runs the work at this moment: Celery's pool process, Attune's guard of a run."""

    def killed() -> bool:
        runner = next(_runners(scene.system.worker(), scene.system.runs), None)
        if runner is not None:
            os.kill(runner, signal.SIGKILL)
        return runner is not None

    assert until(killed, 20, step=0.01), "nothing ran"


def _runners(pid: int, runs: str | None) -> Iterator[int]:
    """Yield the processes below this one that run work: those above a program so named, or any."""
    for child in _children(pid):
        with suppress(OSError):  # it has ended meanwhile
            if runs is None:
                yield child
            elif runs in Path(f"/proc/{child}/cmdline").read_text():
                yield pid
            else:
                yield from _runners(child, runs)


def worker_killed(scene: Scene) -> None:
    """Kill the worker with all that it runs; it is started again."""
    os.killpg(scene.system.worker(), signal.SIGKILL)
    time.sleep(1)
    scene.system.restart_worker()


def worker_frozen(scene: Scene) -> None:
    """Stop the worker's own process for 40 s while what it runs goes on; there is another worker."""
    frozen = scene.system.worker()
    os.kill(frozen, signal.SIGSTOP)
    scene.system.second_worker()
    time.sleep(FROZEN_SECONDS)
    os.kill(frozen, signal.SIGCONT)


def broker_restarted(scene: Scene) -> None:
    scene.node.control("stop_app")
    time.sleep(AWAY_SECONDS)
    scene.node.control("start_app")


def broker_wiped(scene: Scene) -> None:
    """The broker comes back without its queues and messages."""
    scene.node.control("stop_app")
    scene.node.control("reset")
    scene.node.control("start_app")


def queue_deleted(scene: Scene) -> None:
    with Connection(scene.node.url) as connection:
        connection.default_channel.queue_delete(scene.system.queue)


def said_again(scene: Scene) -> None:
    """The broker delivers the messages of five events three times in all."""
    assert until(lambda: scene.system.starts()[scene.first + 4], 60), "the first events never started"
    for n in range(scene.first, scene.first + 5):
        for _ in range(2):
            scene.system.say_again(n)


def database_away(scene: Scene) -> None:
    """Every connection is ended, and none is let in for 5 s."""
    on_server(f"ALTER DATABASE {scene.database} ALLOW_CONNECTIONS false")
    on_server(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{scene.database}'")
    time.sleep(AWAY_SECONDS)
    on_server(f"ALTER DATABASE {scene.database} ALLOW_CONNECTIONS true")


def nothing(_: Scene) -> None:
    """The events themselves are the fault."""


FAULTS = (
    Fault("none", "no fault", nothing),
    Fault("child-killed", "kill -9 of the process that runs the work", child_killed),
    Fault("worker-killed", "kill -9 of the worker and all below it", worker_killed),
    Fault("worker-frozen", f"the worker stands still for {FROZEN_SECONDS:g} s", worker_frozen),
    Fault("broker-restarted", "RabbitMQ is stopped for 5 s", broker_restarted),
    Fault("broker-wiped", "RabbitMQ loses its queues and messages", broker_wiped),
    Fault("queue-deleted", "the queue of the work is deleted", queue_deleted),
    Fault("said-again", "messages of five events are delivered three times", said_again),
    Fault("database-away", "PostgreSQL ends all connections, and is away for 5 s", database_away),
    Fault("poison", "one event in ten kills the process that runs it", nothing, poison=4),
)
