"""The one place that publishes: a thread that owns a connection, gathers and confirms.

A ring is a hint that rows owe work, so it may be lost: the polls find the rows. What must not happen
is that it is lost *in silence* or that it holds up whoever rang. So: publishing happens in a thread of
its own, each message is mandatory, confirmed and limited in time (on RabbitMQ), every outcome is
counted, and while the broker is away messages are dropped at once instead of piling up.

A ring goes out at once, unless one of its kind has just gone out: then its ids gather with those of further
rings, and go out as one message a few milliseconds later. Under load that is one message for dozens of
transactions; a message costs the broker more than a row costs the database.
"""

import atexit
import json
import math
import queue
import random
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog
from django.conf import settings
from kombu import Connection

from attune_project.faults import fault
from attune_project.messaging import broker, counts, declare
from attune_project.messaging.topology import MessageType

log = structlog.get_logger(__name__)
IDS_PER_MESSAGE = 500
# Whoever rings goes on computing; Python's 5 ms until another thread gets its turn would be the
# greater part of a hop.
SWITCH_SECONDS = 0.0005
LONGEST_PAUSE = 5.0
TURN_SECONDS = 0.002  # at most that whoever rings lets the publisher go first
GATHER_SECONDS = 0.005  # between two messages of a kind, in the long run
AHEAD_SECONDS = 0.02  # of that pace a kind may be that has been quiet
LAZY_SECONDS = 0.25  # the same where nobody waits for it; streams are to hear of a change within a second


class Unroutable(Exception):
    """The broker has no queue for this exchange and routing key."""


Kind = tuple[str, str | None]  # a message type, a pool
NO_SEQUEL = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


@dataclass
class Letter:
    """One message to be: ids of one type for one routing key, or a probe."""

    message: MessageType
    ids: list[int] = field(default_factory=list)
    pool: str | None = None
    trace_id: str | None = None
    probe: str | None = None  # the service that asks
    lazy: bool = False  # nobody waits for it
    done: Callable[[str | None], None] | None = None  # called with the error, or None

    @property
    def kind(self) -> Kind:
        return (self.message.name, self.pool)


class Publisher(Protocol):
    """What `ring` and the probes talk to: the real thread, or the fake of tests."""

    def send(self, letter: Letter) -> None: ...


def gather(letters: Iterable[Letter]) -> list[Letter]:
    """Merge rings of one type and key, in order of first appearance; probes stay alone."""
    merged: dict[tuple[str, str | None], list[Letter]] = {}
    probes = []
    for letter in letters:
        if letter.probe:
            probes.append(letter)
            continue
        group = merged.setdefault(letter.kind, [])
        if not group or len(group[-1].ids) + len(letter.ids) > IDS_PER_MESSAGE:
            group.append(Letter(letter.message, pool=letter.pool, trace_id=letter.trace_id))
        group[-1].ids.extend(letter.ids)
    return [*(letter for group in merged.values() for letter in group), *probes]


def compose(letter: Letter) -> tuple[str, dict[str, Any]]:
    """Return (body, headers) of the Celery task message for a letter, with no more than Celery asks for.

    https://docs.celeryq.dev/en/stable/internals/protocol.html (version 2). Each header costs at both
    ends, and Celery's own composer makes twice as many.
    """
    task_id = str(uuid.uuid4())
    body = json.dumps([[], {letter.message.argument: letter.ids}, NO_SEQUEL], separators=(",", ":"))
    headers = {
        "lang": "py",
        "task": letter.message.task,
        "id": task_id,
        "root_id": task_id,
        "parent_id": None,
        "group": None,
        "message_type": letter.message.name,
        "message_id": task_id,
        "trace_id": letter.trace_id or task_id,
        "version": "1.0",
    }
    if letter.probe:
        headers["probe"] = letter.probe
    return body, headers


class PublisherThread(threading.Thread):
    """Sends letters over one connection, in order, reconnecting with capped back-off."""

    def __init__(self) -> None:
        super().__init__(name="publisher", daemon=True)
        self._letters: queue.SimpleQueue[Letter | None] = queue.SimpleQueue()
        self._waiting: list[Letter] = []
        self._sent_at: dict[Kind, float] = {}
        self._connection: Connection | None = None
        self._channel: Any = None
        self._declared: set[str] = set()  # exchanges, on this connection
        self._returned: list[str] = []
        self._turn = threading.Event()  # over: what was due is on its way
        self._pause = 0.0
        self._down_until = 0.0
        self._reason = ""

    def send(self, letter: Letter) -> None:
        """Take a letter. What is due is written while its sender stands aside, for an instant at most: two
        threads that compute at once hold each other up for longer than either takes."""
        now = time.monotonic()
        stands_aside = self._due_at(letter) <= now >= self._down_until
        if stands_aside:
            self._turn.clear()
        self._letters.put(letter)
        if stands_aside:
            self._turn.wait(TURN_SECONDS)

    def stop(self, timeout: float = 2.0) -> None:
        """Send what is waiting, then end."""
        self._letters.put(None)
        self.join(timeout)

    def run(self) -> None:
        going = True
        while going:
            going = self._take()
            for letter in gather(self._due(everything=not going)):
                try:
                    self._deliver(letter)
                except Exception:  # nothing may end this thread: the process would fall silent
                    log.exception("letter not delivered", message_type=letter.message.name)
                self._note_sent(letter.kind)
            self._turn.set()
        self._close()

    def _take(self) -> bool:
        """Wait for a letter, or until one that waits is due; take all that are there. False at the end."""
        due = min(map(self._due_at, self._waiting), default=None)
        pause = None if due is None else max(0.0, due - time.monotonic())
        try:
            taken = [self._letters.get(timeout=pause)]
        except queue.Empty:
            return True
        while not self._letters.empty():
            taken.append(self._letters.get())
        letters = [letter for letter in taken if letter is not None]
        self._waiting.extend(letters)
        return len(letters) == len(taken)

    def _due(self, *, everything: bool) -> list[Letter]:
        """Take out what waits of those kinds that are due, lazy ones along with the others."""
        now = time.monotonic()
        kinds = {one.kind for one in self._waiting if everything or self._due_at(one) <= now}
        due = [letter for letter in self._waiting if letter.kind in kinds]
        self._waiting = [letter for letter in self._waiting if letter.kind not in kinds]
        return due

    def _note_sent(self, kind: Kind) -> None:
        """Keep a kind to its pace. A few that come close together, as events do, needn't wait for another."""
        paced = self._sent_at.get(kind, 0.0) + GATHER_SECONDS
        self._sent_at[kind] = max(paced, time.monotonic() - AHEAD_SECONDS)

    def _due_at(self, letter: Letter) -> float:
        if letter.probe:
            return 0.0
        pause = LAZY_SECONDS if letter.lazy else GATHER_SECONDS
        return self._sent_at.get(letter.kind, -pause) + pause

    def _deliver(self, letter: Letter) -> None:
        error: str | None = None
        outcome = "ok"
        if time.monotonic() < self._down_until:
            error, outcome = f"broker unreachable: {self._reason}", "failed"
        else:
            error, outcome = self._attempt(letter)
        counts.add(counts.PUBLISHED, letter.message.name, outcome)
        if letter.done:
            letter.done(error)

    def _attempt(self, letter: Letter) -> tuple[str | None, str]:
        try:
            self._publish_afresh(letter)
        except Unroutable as problem:
            log.error("message has no queue", message_type=letter.message.name, reason=str(problem))
            return str(problem), "unroutable"
        except Exception as problem:  # whatever the transport raises, the broker is not usable
            self._down(problem)
            return f"broker unreachable: {self._reason}", "failed"
        self._pause = 0.0
        return None, "ok"

    def _publish_afresh(self, letter: Letter) -> None:
        """Publish; when a connection that was open fails, try once more on a new one.

        A connection that idles can be long gone (a restarted broker, a firewall): that is no outage.
        """
        was_open = self._channel is not None
        try:
            self._publish(letter)
        except Unroutable:
            raise
        except Exception as problem:
            if not was_open:
                raise
            log.info("publishing again on a new connection", reason=str(problem))
            self._close()
            self._publish(letter)

    def _publish(self, letter: Letter) -> None:
        body, headers = compose(letter)
        name, key = letter.message.exchange, letter.message.key(letter.pool)
        channel = self._channel_to(name)
        timeout = settings.ATTUNE_PUBLISH_TIMEOUT
        limits: dict[str, Any] = (
            {"mandatory": True, "timeout": timeout, "confirm_timeout": timeout} if broker.is_amqp() else {}
        )
        self._returned.clear()
        if letter.ids:
            fault("ring.before_publish")
        message = channel.prepare_message(
            body,
            content_type="application/json",
            content_encoding="utf-8",
            headers=headers,
            properties={"delivery_mode": 2, "correlation_id": headers["id"]},
        )
        channel.basic_publish(message, exchange=name, routing_key=key, **limits)
        if letter.ids:
            fault("ring.after_publish")
        if self._returned:
            raise Unroutable(f"no queue is bound to {name} with {key}: {self._returned[0]}")

    def _channel_to(self, exchange: str) -> Any:
        """Return the channel, connected, on which this exchange has been declared."""
        if self._channel is None:
            self._connection = broker.connect()
            self._connection.ensure_connection(
                max_retries=1, timeout=math.ceil(settings.ATTUNE_PUBLISH_TIMEOUT)
            )
            channel: Any = self._connection.channel()
            if broker.is_amqp():
                self._tell_when_written(channel)
                channel.events["basic_return"].add(self._on_return)
            self._channel, self._declared = channel, set()
        if exchange not in self._declared:
            declare.exchange(exchange)(self._channel).declare()
            self._declared.add(exchange)
        return self._channel

    def _tell_when_written(self, channel: Any) -> None:
        """Let the sender go on while the confirm is on its way (py-amqp: publish, then wait for it)."""
        publish = channel._basic_publish

        def write(*args: Any, **options: Any) -> Any:
            answer = publish(*args, **options)
            self._turn.set()
            return answer

        channel._basic_publish = write

    def _on_return(self, error: Exception, exchange: Any, routing_key: str, message: Any) -> None:
        self._returned.append(str(error))

    def _down(self, problem: Exception) -> None:
        self._close()
        self._reason = f"{type(problem).__name__}: {problem}"
        self._pause = min(LONGEST_PAUSE, self._pause * 2 or 0.25)
        # Many processes lose the broker at once: they must not all come back at once.
        self._down_until = time.monotonic() + self._pause * random.uniform(0.5, 1)  # noqa: S311
        log.warning("publishing failed; the polls do the work", reason=self._reason, pause=self._pause)

    def _close(self) -> None:
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            try:
                connection.collect(socket_timeout=0.5)
            except Exception as problem:  # it is gone already
                log.debug("closing the broker connection", reason=str(problem))


_publisher: Publisher | None = None
_lock = threading.Lock()


def publisher() -> Publisher:
    """Return this process's publisher, starting its thread at first use."""
    global _publisher  # noqa: PLW0603 (one per process)
    with _lock:
        if _publisher is None:
            sys.setswitchinterval(SWITCH_SECONDS)
            thread = PublisherThread()
            thread.start()
            atexit.register(thread.stop)
            _publisher = thread
        return _publisher


def use(replacement: Publisher | None) -> Publisher | None:
    """Replace the publisher (tests); return the one before."""
    global _publisher
    with _lock:
        before, _publisher = _publisher, replacement
    return before
