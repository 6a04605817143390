"""A rehearsal: services that kill, freeze or fail themselves at every fault point, under load."""

import json
import os
import re
import signal
import time
import urllib.error
import urllib.request
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from kombu import Connection

from attune_project.faults import POINTS
from tests.integration.spine import SERVICES, Spine, until

ACTIONS = ("kill", "raise", "freeze")
FROZEN_SECONDS = 8.0  # longer than a lease of LEASE
LEASE = {"ATTUNE_LEASE_SECONDS": "6", "ATTUNE_HEARTBEAT_SECONDS": "1"}
PACK = Path(__file__).with_name("rehearsed")
PAUSES = {"rh.instant": 0.0, "rh.marked": 1.0, "rh.again": 1.0}  # seconds between events: no backlog grows
TRIGGERS = tuple(PAUSES)
_SAID = re.compile(r"^FAULT (\S+):(\w+)$", re.MULTILINE)

Fault = tuple[str, str, str]  # service, point, action


MAIN_PATH = (
    ("web", "event.after_insert"),
    ("web", "webhook.before_answer"),
    ("beat", "timer.before_commit"),
    ("sensor", "message.before_work"),
    ("sensor", "match.before_commit"),
    ("sensor", "ring.before_send"),
    ("executor", "enforce.before_commit"),
    ("executor", "ring.after_publish"),
    ("executor", "message.before_ack"),
    ("worker", "instant.before_commit"),
    ("worker", "claim.before_start"),
    ("worker", "run.after_end"),
    ("worker", "result.before_commit"),
    ("executor", "settle.before_slots"),
)


def on_the_main_path() -> set[Fault]:
    """Return a kill on each side of what an event passes on its way."""
    return {(service, point, "kill") for service, point in MAIN_PATH}


def every_one(action: str) -> set[Fault]:
    """Return a fault with this action for each point, in each service that passes it."""
    return {(service, point.name, action) for point in POINTS for service in point.services}


class Rehearsal:
    """Has one Attune meet with faults, restarts what dies, and continues what is frozen."""

    def __init__(self, spine: Spine, faults: Iterable[Fault]) -> None:
        self._spine = spine
        self.owed = set(faults)
        self.accepted: Counter[str] = Counter()
        self._stopped_at: dict[int, float] = {}
        self._sent_at: dict[str, float] = {}
        self._waiting: dict[str, str] = {}  # a dedup key by its trigger: not answered yet

    def prepare(self) -> None:
        """Load the pack, open its webhooks, and leave history that is to be deleted."""
        self._spine.manage("load_pack", str(PACK))
        self._spine.sql("UPDATE trigger SET webhook_enabled = true, webhook_key = ref WHERE pack_ref = 'rh'")
        self._leave_history()

    def start(self) -> None:
        for service in SERVICES:
            self._launch(service)

    def _launch(self, service: str) -> None:
        mine = sorted(f"{point}:{action}" for owner, point, action in self.owed if owner == service)
        self._spine.launch(service, **({"ATTUNE_FAULTS": ",".join(mine)} if mine else {}))

    def run(self, timeout: float) -> bool:
        """Go on until every fault has happened; return whether that was in time."""
        return until(self._round, timeout, step=0.2)

    def _round(self) -> bool:
        self.look_after()
        for trigger, pause in PAUSES.items():
            if time.monotonic() - self._sent_at.get(trigger, 0.0) >= pause:
                self._sent_at[trigger] = time.monotonic()
                self._send(trigger)
        self._give_occasion()
        return not self.owed

    def look_after(self) -> None:
        """Note what has happened; restart what has died; continue what has been frozen for long enough."""
        for service in SERVICES:
            said = _SAID.findall(self._spine.log(service))
            self.owed -= {(service, point, action) for point, action in said}
            if self._spine.alive(service):
                self._thaw(self._spine.processes[service].pid)
            else:
                self._spine.kill(service)  # with what it has left running
                self._launch(service)

    def _thaw(self, pid: int) -> None:
        if state_of(pid) != "T":
            self._stopped_at.pop(pid, None)
        elif time.monotonic() - self._stopped_at.setdefault(pid, time.monotonic()) > FROZEN_SECONDS:
            os.kill(pid, signal.SIGCONT)

    def _send(self, trigger: str) -> None:
        """Send an event as a careful sender does: under its key, again and again until it is answered 2xx."""
        key = self._waiting.setdefault(trigger, uuid.uuid4().hex)
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._spine.port}/api/v1/webhooks/{trigger}",
            data=json.dumps({"n": self.accepted[trigger]}).encode(),
            headers={"Content-Type": "application/json", "X-Webhook-ID": key},
        )
        try:
            with urllib.request.urlopen(request, timeout=3):
                self.accepted[trigger] += 1
                del self._waiting[trigger]
        except OSError:  # an answer that isn't 2xx, too
            return

    def finish_sending(self) -> bool:
        """Send what was not answered yet, until it is."""

        def done() -> bool:
            self.look_after()
            for trigger in list(self._waiting):
                self._send(trigger)
            return not self._waiting

        return until(done, 120)

    def _give_occasion(self) -> None:
        """Bring about what doesn't come by itself: history that is old, a message that is dead."""
        owed = {point for _, point, _ in self.owed}
        if "retention.before_commit" in owed:
            self._leave_history()
        if "dead_letter.before_ack" in owed:
            self._leave_dead_letter()

    def _leave_history(self) -> None:
        self._spine.sql(
            "INSERT INTO event (trigger_ref, trace_id, status, created, decided_at, ruleset_revision)"
            " SELECT 'rh.old', gen_random_uuid(), 'decided', day, day, 0"
            " FROM (SELECT now() - interval '60 days' AS day) past"
        )

    def _leave_dead_letter(self) -> None:
        with Connection(self._spine.broker_url) as connection:
            connection.Producer().publish({}, exchange="attune.dlx", routing_key="event.created", retry=True)


def state_of(pid: int) -> str:
    """Return the state of a process as /proc has it: T is frozen."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "gone"


def repeated(spine: Spine) -> Iterator[str]:
    """Name the executions of what must not be repeated that were started more than once."""
    path = spine.folder / "artifacts" / "marks"
    starts = Counter(path.read_text().splitlines() if path.exists() else [])
    return (line for line, count in starts.items() if count > 1)
