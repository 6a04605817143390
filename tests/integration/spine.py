"""The whole pipeline as real processes, on a database and a broker of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg

ROOT = Path(__file__).resolve().parents[2]
# A machine that is slow makes no repairs by these: but what a message did not do, they find and count.
SLOW_POLLS = {"ATTUNE_POLL_SECONDS": "10"}
SERVICES = ("notifier", "worker", "executor", "sensor", "web", "beat")  # consumers before publishers


class Spine:
    """Starts, kills and asks the services of one Attune."""

    def __init__(self, database_url: str, broker_url: str, folder: Path, port: int, **settings: str) -> None:
        self.database_url = database_url
        self.broker_url = broker_url
        self.folder = folder
        self.port = port
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.special: set[str] = set()  # services that run with settings or sabotage of their own
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "ATTUNE_ENV": "development",
            "DATABASE_URL": database_url,
            "BROKER_URL": broker_url,
            "ATTUNE_DATA_DIR": str(folder),
            "ATTUNE_API_URL": f"http://127.0.0.1:{port}",
            "ATTUNE_DRAIN_SECONDS": "3",
            **settings,
        }

    # -- commands ------------------------------------------------------------------------------

    def manage(
        self, *arguments: str, check: bool = True, **settings: str
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT, env={**self.environment, **settings}, capture_output=True, text=True, check=False,
            timeout=240,
        )  # fmt: skip
        assert not (check and done.returncode), f"manage.py {' '.join(arguments)}: {done.stderr[-4000:]}"
        return done

    def prepare(self) -> None:
        """Declare the topology; let the timers of the database, which is a copy, begin now."""
        self.manage("topology", "--declare")
        self.sql(
            "UPDATE timer SET next_fire_at = now() + (next_fire_at - activated_at), activated_at = now()"
        )

    def invariants(self) -> str:
        """Return what check_invariants found: empty when all is well."""
        answer = self.manage("check_invariants", check=False)
        return "" if answer.returncode == 0 else answer.stdout + answer.stderr

    # -- processes -----------------------------------------------------------------------------

    def start(self, *names: str, sabotage: str | None = None, **settings: str) -> None:
        """Start services and wait until each is ready."""
        for name in names:
            self.launch(name, sabotage, **settings)
        for name in names:
            self._await_ready(name)

    def launch(self, name: str, sabotage: str | None = None, **settings: str) -> None:
        """Start a service without waiting for it, as a supervisor does."""
        ready = self._ready_file(name)
        ready.unlink(missing_ok=True)
        self.special.discard(name)
        if sabotage or settings:
            self.special.add(name)
        service = name.partition(":")[0]  # worker:2 is a second worker
        command = [sys.executable, "manage.py", "service", service, "--port", str(self.port)]
        if sabotage:
            command = [sys.executable, "-m", "tests.integration.sabotage", sabotage, service]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True,
                env={**self.environment, **settings, "ATTUNE_READY_FILE": str(ready)},
            )  # fmt: skip

    def _ready_file(self, name: str) -> Path:
        return self.folder / f"{name}.ready"

    def _await_ready(self, name: str, timeout: float = 180) -> None:
        if name == "beat":
            return
        is_ready = self._web_is_ready if name == "web" else self._ready_file(name).exists
        if not until(is_ready, timeout, step=0.1):
            raise AssertionError(f"{name} is not ready:\n{self.log(name)[-4000:]}")

    def _web_is_ready(self) -> bool:
        return self.get("/health/ready")[0] == 200

    def kill(self, name: str) -> None:
        """kill -9, with its children."""
        process = self.processes.pop(name)
        with suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def terminate(self, *names: str) -> None:
        """SIGTERM, and wait for the end."""
        taken = [self.processes.pop(name) for name in names if name in self.processes]
        for process in taken:
            process.terminate()
        for process in taken:
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def stop(self) -> None:
        self.terminate(*list(self.processes))

    def drop(self) -> None:
        """Kill what runs, when nobody will look at it any more: an orderly end takes seconds."""
        for name in list(self.processes):
            self.kill(name)

    def restart(self, name: str, sabotage: str | None = None) -> None:
        """End a service in good order and start it again, perhaps broken."""
        self.terminate(name)
        self.start(name, sabotage=sabotage)

    def missing(self) -> list[str]:
        """Return the services that do not run."""
        return [name for name in SERVICES if name not in self.processes or not self.alive(name)]

    def alive(self, name: str) -> bool:
        return self.processes[name].poll() is None

    def log(self, name: str) -> str:
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    # -- questions -----------------------------------------------------------------------------

    def sql(self, statement: str, parameters: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        options = "-c search_path=attune,public"
        with psycopg.connect(self.database_url, autocommit=True, options=options) as connection:
            cursor = connection.execute(statement, list(parameters))  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def one(self, statement: str, *parameters: Any) -> Any:
        return self.sql(statement, parameters)[0][0]

    def token(self) -> str:
        """Return an access token of the first administrator, who is made if need be."""
        login = {"ATTUNE_ADMIN_LOGIN": "admin", "ATTUNE_ADMIN_PASSWORD": "integration"}
        self.manage("ensure_admin", **login)
        return self.manage("issue_token").stdout.strip()

    def get(self, path: str) -> tuple[int, str]:
        return self._request(path)

    def post(self, path: str, body: Any, token: str) -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        return self._request(path, data=json.dumps(body).encode(), headers=headers)

    def _request(self, path: str, **options: Any) -> tuple[int, str]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", **options)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def health(self) -> dict[str, Any]:
        text = self.get("/health/detailed")[1]
        return json.loads(text) if text.startswith("{") else {"status": "unreachable", "checks": {}}

    def red(self) -> dict[str, str]:
        """Return the red checks and their reasons."""
        checks = self.health()["checks"]
        return {name: check.get("reason", "") for name, check in checks.items() if check["status"] != "ok"}

    def red_metrics(self) -> list[str]:
        """Return the checks that /metrics shows as red."""
        page = self.get("/metrics")[1]
        return re.findall(r'^attune_check_ok\{check="(.+)"\} 0\.0$', page, re.MULTILINE)

    def repairs(self) -> int:
        return int(self.one("SELECT COALESCE(sum(repairs), 0) FROM step"))

    def last_event(self) -> int:
        return int(self.one("SELECT COALESCE(max(id), 0) FROM event"))

    def alerts(self, after: int = 0) -> list[str]:
        """Return what the alerts since an event say."""
        rows = self.sql(
            "SELECT payload ->> 'summary' FROM event"
            " WHERE trigger_ref = 'core.alert' AND id > %s ORDER BY id",
            [after],
        )
        return [row[0] for row in rows]

    # -- load ----------------------------------------------------------------------------------

    def feed(
        self, count: int, rate: float = 0, trigger: str = "it.ping", batch: int = 1
    ) -> subprocess.Popen[bytes]:
        """Record events from a process of its own; 0 is as fast as it goes."""
        return subprocess.Popen(
            [sys.executable, "-m", "tests.integration.feed", trigger, str(count), str(rate), str(batch)],
            cwd=ROOT, env=self.environment, stdout=subprocess.PIPE,
        )  # fmt: skip

    def record(self, count: int, trigger: str = "it.ping", batch: int = 500) -> int:
        """Record events and wait for it; return how many were accepted."""
        output, _ = self.feed(count, trigger=trigger, batch=batch).communicate(timeout=240)
        return int(output)

    def unfinished(self, trigger: str = "it.ping") -> int:
        """Return how many events of a trigger have not ended in a terminal execution."""
        return int(
            self.one(
                "SELECT count(*) FROM event e LEFT JOIN enforcement n ON n.event_id = e.id"
                " LEFT JOIN execution x ON x.id = n.execution_id"
                " WHERE e.trigger_ref = %s AND x.finished_at IS NULL",
                trigger,
            )
        )

    def statuses(self, trigger: str = "it.ping") -> dict[str, int]:
        rows = self.sql(
            "SELECT x.status, count(*) FROM execution x WHERE x.trigger_ref = %s GROUP BY 1", [trigger]
        )
        return dict(rows)  # type: ignore[arg-type]

    def settled(self, trigger: str = "it.ping", timeout: float = 180) -> bool:
        """Wait until every event of a trigger has ended in a terminal, settled execution."""
        return until(
            lambda: (
                self.unfinished(trigger) == 0
                and self.one(
                    "SELECT count(*) FROM execution WHERE settled_at IS NULL AND finished_at IS NOT NULL"
                )
                == 0
            ),
            timeout,
        )


QUICKER = """
from rules.changes import save_rule
from rules.models import Rule
rule = Rule.objects.get(ref="core.canary")
rule.trigger_params = {"unit": "seconds", "interval": 5}
save_rule(rule)
"""


def quicken_canary(spine: Spine) -> None:
    """Let the canary sing each 5 s instead of each minute, which must be longer than a poll waits."""
    spine.manage("shell", "-v", "0", "-c", QUICKER)


def until(condition: Callable[[], object], timeout: float, step: float = 0.25) -> bool:
    """Wait for a condition; return whether it came true in time."""
    ends = time.monotonic() + timeout
    while time.monotonic() < ends:
        if condition():
            return True
        time.sleep(step)
    return bool(condition())
