"""What is compared: each takes events, has workers that faults happen to, and tells what came of it."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import psycopg
from kombu import Connection

from tests.chaos.comparison.plain import application
from tests.integration.servers import Node, free_port
from tests.integration.spine import ROOT, Spine, until

PACK = Path(__file__).with_name("pack")
CONCURRENCY = 2

RINGS = """
from kombu import Producer
from attune_project.messaging import broker
from attune_project.messaging.publisher import Letter, compose
from attune_project.messaging.topology import (
    ENFORCEMENT_CREATED, EVENT_CREATED, EXECUTION_COMPLETED, EXECUTION_REQUESTED)
from rules.models import Enforcement
row = Enforcement.objects.get(event__payload__n={n})
rung = ((EVENT_CREATED, row.event_id), (ENFORCEMENT_CREATED, row.pk),
        (EXECUTION_REQUESTED, row.execution_id), (EXECUTION_COMPLETED, row.execution_id))
with broker.connect() as connection:
    for message, row_id in rung:
        body, headers = compose(Letter(message, [row_id]))
        Producer(connection.channel()).publish(
            body, exchange=message.exchange, routing_key=message.key(None), headers=headers,
            content_type="application/json", content_encoding="utf-8", delivery_mode=2)
"""


class System(Protocol):
    """`accept` returns whether the event n was accepted, in the way of its clients: 2xx or not."""

    name: str
    queue: str
    runs: str | None  # the program that does the work, where that is one of its own

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def accept(self, n: int) -> bool: ...
    def say_again(self, n: int) -> None: ...
    def worker(self) -> int: ...
    def restart_worker(self) -> None: ...
    def second_worker(self) -> None: ...
    def results(self) -> Counter[int]: ...
    def told(self) -> set[int]: ...
    def starts(self) -> Counter[int]: ...
    def ends(self) -> Counter[int]: ...


class PlainCelery:
    """A Celery worker, and the handler of a web application that calls `delay` once its row is stored."""

    queue = "celery"
    runs = None

    def __init__(self, name: str, node: Node, database: str, folder: Path) -> None:
        self.name = name
        self._lossless = name != "defaults"
        self._database = database
        self._folder = folder
        self._broker = node.url
        self._workers: list[subprocess.Popen[bytes]] = []
        self._app = application(node.url, lossless=self._lossless)

    def start(self) -> None:
        self._sql(
            "CREATE TABLE event (n int PRIMARY KEY);CREATE TABLE mark (n int); CREATE TABLE result (n int)"
        )
        self.restart_worker()

    def _sql(self, statement: str, *parameters: int) -> list[tuple]:
        with psycopg.connect(self._database, connect_timeout=5, autocommit=True) as connection:
            cursor = connection.execute(statement, list(parameters) or None)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def accept(self, n: int) -> bool:
        try:
            self._sql("INSERT INTO event (n) VALUES (%s) ON CONFLICT DO NOTHING", n)
            self._app.send_task("compared.work", [n])
        except Exception:
            return False
        return True

    def say_again(self, n: int) -> None:
        """Have the broker deliver the message of an event once more."""
        self._app.send_task("compared.work", [n], task_id=f"again-{n}")

    def worker(self) -> int:
        return self._workers[0].pid

    def restart_worker(self) -> None:
        """Start a worker, in place of one that has died."""
        self._workers = [one for one in self._workers if one.poll() is None]
        name = f"w{len(list(self._folder.glob('*.ready')))}@compared"
        command = [
            sys.executable, "-m", "celery", "-A", "tests.chaos.comparison.plain", "worker",
            "-c", str(CONCURRENCY), "-n", name, "--without-gossip", "--without-mingle", "-l", "INFO",
        ]  # fmt: skip
        environment = {
            **os.environ, "COMPARED": self.name, "COMPARED_BROKER": self._broker,
            "COMPARED_DATABASE": self._database,
        }  # fmt: skip
        (self._folder / f"{name}.ready").touch()
        path = self._folder / f"{name}.log"
        with path.open("wb") as log:
            self._workers.append(
                subprocess.Popen(
                    command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
                )
            )
        assert until(lambda: " ready." in path.read_text(errors="replace"), 120), path.read_text()

    def second_worker(self) -> None:
        self.restart_worker()

    def results(self) -> Counter[int]:
        return Counter(row[0] for row in self._sql("SELECT n FROM result"))

    def starts(self) -> Counter[int]:
        return Counter(row[0] for row in self._sql("SELECT n FROM mark"))

    ends = results

    def told(self) -> set[int]:
        """Celery keeps no record of a task that has no result; its log may name one."""
        return set()

    def stop(self) -> None:
        for one in self._workers:
            with suppress(ProcessLookupError):
                os.killpg(one.pid, signal.SIGKILL)
            one.wait()
        with Connection(self._broker) as connection:
            connection.default_channel.queue_delete(self.queue)


class Attune:
    """All services of Attune, each with its settings as they come."""

    name = "attune"
    queue = "attune.execution.requests.queue"
    runs = "work.sh"

    def __init__(self, node: Node, database: str, folder: Path) -> None:
        self._node = node
        self._spine = Spine(database, node.url, folder, free_port())

    def start(self) -> None:
        self._spine.prepare()
        self._spine.manage("load_pack", str(PACK))
        self._spine.sql("UPDATE trigger SET webhook_enabled = true, webhook_key = ref WHERE pack_ref = 'cmp'")
        self._spine.start("notifier", "worker", "executor", "sensor", "web")

    def accept(self, n: int) -> bool:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._spine.port}/api/v1/webhooks/cmp.happened",
            data=json.dumps({"n": n}).encode(),
            headers={"Content-Type": "application/json", "X-Webhook-ID": str(n)},
        )
        try:
            with urllib.request.urlopen(request, timeout=10):
                return True
        except OSError:
            return False

    def say_again(self, n: int) -> None:
        """Have the broker deliver every ring on the way of an event once more."""
        self._spine.manage("shell", "-v", "0", "-c", RINGS.format(n=n))

    def worker(self) -> int:
        return self._spine.processes["worker"].pid

    def restart_worker(self) -> None:
        """Start anew whatever has died, as the supervisor does."""
        for name in list(self._spine.processes):
            if not self._spine.alive(name):
                self._spine.kill(name)
                self._spine.start(name)

    def second_worker(self) -> None:
        self._spine.start("worker:2")

    def results(self) -> Counter[int]:
        """Count the results that were accepted; an end that says that there is none isn't one."""
        rows = self._spine.sql(
            "SELECT x.config ->> 'n', count(*) FROM execution x JOIN attempt t ON t.execution_id = x.id"
            " AND t.status = 'completed' WHERE x.action_ref = 'cmp.work' GROUP BY 1"
        )
        return Counter({int(n): count for n, count in rows})

    def told(self) -> set[int]:
        """Return the events whose execution ended without a result, and says so in its row."""
        rows = self._spine.sql(
            "SELECT config ->> 'n' FROM execution WHERE action_ref = 'cmp.work'"
            " AND status IN ('failed', 'timeout', 'abandoned', 'cancelled')"
        )
        return {int(n) for (n,) in rows}

    def starts(self) -> Counter[int]:
        return self._marks("start")

    def ends(self) -> Counter[int]:
        return self._marks("end")

    def _marks(self, kind: str) -> Counter[int]:
        path = self._spine.folder / "artifacts" / "marks"
        lines = path.read_text().splitlines() if path.exists() else []
        return Counter(int(line.split()[0]) for line in lines if line.endswith(kind))

    def stop(self) -> None:
        self._spine.drop()
