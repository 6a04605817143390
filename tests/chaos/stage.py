"""One whole Attune on servers of its own: services behind proxies, restarted by an owner when they die."""

import json
import os
import signal
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

from tests.chaos.journal import Journal
from tests.chaos.proxy import ChaosProxy
from tests.chaos.servers import Servers
from tests.integration.servers import free_port
from tests.integration.spine import ROOT, SERVICES, Spine, until

SETTINGS = {
    "ATTUNE_LEASE_SECONDS": "6",
    "ATTUNE_HEARTBEAT_SECONDS": "1",
    "ATTUNE_LOG_LEVEL": "WARNING",
    "ATTUNE_RUN_MEMORY_MB": "256",
    "ATTUNE_WORKER_SLOTS": "4",
}
MOST_WAIT = 5.0  # seconds between restarts of one that does not stay up
WITNESS = """
CREATE TABLE attune.chaos_overwritten
  (execution_id bigint, old_status text, new_status text, at timestamptz DEFAULT clock_timestamp());
CREATE FUNCTION attune.chaos_witness() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO attune.chaos_overwritten (execution_id, old_status, new_status)
  VALUES (OLD.id, OLD.status, NEW.status);
  RETURN NULL;
END $$;
CREATE TRIGGER chaos_witness AFTER UPDATE ON attune.execution FOR EACH ROW
  WHEN (OLD.finished_at IS NOT NULL AND (NEW.status, NEW.finished_at, NEW.result)
        IS DISTINCT FROM (OLD.status, OLD.finished_at, OLD.result))
  EXECUTE FUNCTION attune.chaos_witness();
"""


class Stage:
    """What a campaign acts upon. Questions go straight to the servers, services go through the proxies."""

    def __init__(self, servers: Servers) -> None:
        self.servers = servers
        self.folder = servers.folder.path / "attune"
        self.folder.mkdir()
        self.database = ChaosProxy(servers.postgres.url)
        self.broker = ChaosProxy(servers.rabbitmq.url)
        self.spine = Spine(servers.postgres.url, servers.rabbitmq.url, self.folder, free_port(), **SETTINGS)
        self.journal = Journal()
        self.restarts: dict[str, int] = {}
        self.extra: dict[str, dict[str, str]] = {}  # settings of a service while a fault lasts
        self._born: dict[str, float] = {}
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._owner = threading.Thread(target=self._look_after, name="owner", daemon=True)

    # -- beginning and end ---------------------------------------------------------------------

    def prepare(self) -> None:
        self.spine.manage("migrate", "-v", "0")
        for pack in ("attune_project/packs/core", "tests/chaos/pack"):
            self.spine.manage("load_pack", pack)
        self.spine.prepare()
        self.spine.sql("UPDATE trigger SET webhook_enabled = true, webhook_key = ref WHERE pack_ref = 'ch'")
        self.spine.sql(WITNESS)
        self.token = self.spine.token()
        self.spine.environment |= {"DATABASE_URL": self.database.url, "BROKER_URL": self.broker.url}

    def start(self) -> None:
        for name in SERVICES:
            self._launch(name)
        self._owner.start()
        ready = until(lambda: self.spine.health()["status"] == "ok", 180, step=0.5)
        if not ready:
            raise RuntimeError(f"not well after its start: {self.spine.red()}")

    def close(self) -> None:
        self._over.set()
        if self._owner.is_alive():
            self._owner.join(10)
        self.spine.drop()
        self.database.close()
        self.broker.close()

    # -- the owner -----------------------------------------------------------------------------

    def _launch(self, name: str) -> None:
        self._born[name] = time.monotonic()
        self.spine.launch(name, **self.extra.get(name, {}))

    def _look_after(self) -> None:
        while not self._over.wait(0.2):
            with self._lock:
                for name in list(self.spine.processes):
                    if not self.spine.alive(name):
                        self._revive(name)

    def _revive(self, name: str) -> None:
        """Start one that has ended again, at once, or later when it did not live long."""
        wait = min(MOST_WAIT, 0.5 * self.restarts.get(name, 0))
        lived = time.monotonic() - self._born.get(name, 0.0)
        if lived < wait:
            return
        self.spine.kill(name)  # with what it has left running
        self.restarts[name] = 1 if lived > 30 else self.restarts.get(name, 0) + 1
        self._launch(name)

    # -- what faults need ----------------------------------------------------------------------

    def pid(self, name: str) -> int:
        with self._lock:
            return self.spine.processes[name].pid

    def signal(self, name: str, sign: signal.Signals, *, family: bool = False) -> None:
        """Send a signal to a service; `family`: to all of its process group."""
        with suppress(ProcessLookupError):
            (os.killpg if family else os.kill)(self.pid(name), sign)

    def replace(self, name: str, **settings: str) -> None:
        """End a service in good order and start it again, with these settings until the next time.

        Waits until it is ready: before that, nothing befalls it. Beat doesn't say when it is.
        """
        with self._lock:
            self.extra[name] = settings
            self.spine.terminate(name)
            self._launch(name)
        until(lambda: name == "beat" or self._ready(name), 90, step=0.1)

    def _ready(self, name: str) -> bool:
        if name == "web":
            return self.spine.get("/health/ready")[0] == 200
        return (self.folder / f"{name}.ready").exists()

    def launch_another(self, name: str) -> None:
        """Start one more of a kind, such as `beat:2`."""
        with self._lock:
            self._launch(name)

    def end(self, name: str) -> None:
        with self._lock:
            self.spine.terminate(name)

    def children(self, name: str) -> list[int]:
        try:
            path = Path(f"/proc/{self.pid(name)}/task/{self.pid(name)}/children")
            return [int(pid) for pid in path.read_text().split()]
        except OSError:
            return []

    def invariants(self) -> list[dict[str, object]]:
        """Return what the checker found, over a connection of its own."""
        settings = {"DATABASE_URL": self.servers.postgres.url, "BROKER_URL": self.servers.rabbitmq.url}
        done = self.spine.manage("check_invariants", "--json", check=False, **settings)
        try:
            found: list[dict[str, object]] = json.loads(done.stdout)
        except ValueError:
            return [{"name": "check_invariants", "count": -1, "error": done.stderr[-2000:]}]
        return found

    def command(self, *argv: str) -> str:
        return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
