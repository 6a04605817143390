"""Producers that keep account: each event is sent under its key until it is answered 2xx, and noted."""

import json
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tests.chaos.journal import Journal

PATIENCE = 5.0  # seconds that a producer waits for an answer


@dataclass(frozen=True)
class Flow:
    """So many events of a trigger at once, each `every` seconds, by a door."""

    trigger: str
    every: float
    door: str = "webhook"  # webhook, event, bulk
    size: int = 1


FLOWS = (
    Flow("ch.instant", 0.2),
    Flow("ch.instant", 0.3, "event"),
    Flow("ch.instant", 2.0, "bulk", 20),
    Flow("ch.instant", 1.5, "bulk", 100),
    Flow("ch.marked", 1.2),
    Flow("ch.again", 2.0, "event"),
    Flow("ch.long", 6.0, "event"),
)


class Load:
    """Threads that send; each flow has one, which sends a thing again and again until it is accepted."""

    def __init__(self, port: int, token: str, journal: Journal, flows: tuple[Flow, ...] = FLOWS) -> None:
        self.journal = journal
        self._base = f"http://127.0.0.1:{port}/api/v1"
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._flow, args=[flow], name=f"{flow.door} {flow.trigger}", daemon=True)
            for flow in flows
        ]
        self._threads.append(threading.Thread(target=self._cancel, name="cancels", daemon=True))

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float = 90) -> bool:
        """Send what was not answered yet until it is; return whether that was in time."""
        self._over.set()
        ends = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.1, ends - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def once(self, trigger: str, count: int = 1) -> None:
        """Send some of a trigger now, until they are accepted."""
        for _ in range(count):
            self._until_accepted(Flow(trigger, 0.0, "event"))

    def backlog(self, trigger: str, count: int) -> None:
        for _ in range(count // 500):
            self._until_accepted(Flow(trigger, 0.0, "bulk", 500))

    def _flow(self, flow: Flow) -> None:
        due = time.monotonic()
        while not self._over.is_set():
            self._until_accepted(flow)
            due = max(due + flow.every, time.monotonic() - 1.0)
            self._over.wait(max(0.0, due - time.monotonic()))

    def _until_accepted(self, flow: Flow) -> None:
        """Send as a careful sender does: under its keys, until it is answered 2xx. No end is given here:
        `stop` says how long is too long."""
        keys = [uuid.uuid4().hex for _ in range(flow.size)]
        send: Callable[[str, list[str]], None] = getattr(self, f"_{flow.door}")
        pause = 0.1
        while True:
            self.journal.sent += 1
            try:
                return send(flow.trigger, keys)
            except (OSError, ValueError):  # an answer that isn't 2xx, too, and half of one
                self.journal.unanswered += 1
                time.sleep(pause)
                pause = min(1.0, pause * 2)

    def _webhook(self, trigger: str, keys: list[str]) -> None:
        answer = self._post(f"/webhooks/{trigger}", {"n": 1}, {"X-Webhook-ID": keys[0]})
        self.journal.note(trigger, keys[0], answer["data"]["event_id"])

    def _event(self, trigger: str, keys: list[str]) -> None:
        answer = self._post("/events", body_of(trigger, keys[0]))
        self.journal.note(trigger, keys[0], answer["data"]["id"])

    def _bulk(self, trigger: str, keys: list[str]) -> None:
        answer = self._post("/events/bulk", {"events": [body_of(trigger, key) for key in keys]})
        if any("id" not in one for one in answer["data"]):
            raise ValueError("some were not accepted")
        for one in answer["data"]:
            self.journal.note(trigger, keys[one["index"]], one["id"])

    def _cancel(self) -> None:
        """Ask for the end of what takes a while; perhaps it has ended by then."""
        while not self._over.wait(3.0):
            with suppress(OSError, ValueError, KeyError):
                rows = self._get("/executions?trigger_ref=ch.long&status=running")["data"]
                for row in rows[:1]:
                    self._post(f"/executions/{row['id']}/cancel", {"reason": "a campaign's"})
                    self.journal.cancelled.add(row["id"])

    def _get(self, path: str) -> Any:
        return self._ask(urllib.request.Request(self._base + path, headers=self._headers))

    def _post(self, path: str, body: Any, headers: dict[str, str] | None = None) -> Any:
        data = json.dumps(body).encode()
        request = urllib.request.Request(
            self._base + path, data=data, headers={**self._headers, **(headers or {})}
        )
        return self._ask(request)

    def _ask(self, request: urllib.request.Request) -> Any:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)


def body_of(trigger: str, key: str) -> dict[str, Any]:
    return {"trigger_ref": trigger, "payload": {"n": 1}, "dedup_key": key}
