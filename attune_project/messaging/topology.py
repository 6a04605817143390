"""Who publishes and who consumes each message: the one table, from which all else is made.

Pure: no Django, no Celery. Messages are grouped by the life they belong to, not by who sends them:
an enforcement belongs to the life of executions, so `enforcement.created` is on `attune.executions`.
"""

import re
from dataclasses import dataclass

PREFIX = "attune"
POOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # part of a routing key and of a queue's name


@dataclass(frozen=True)
class Exchange:
    """A durable topic exchange."""

    name: str
    purpose: str


EVENTS = Exchange("attune.events", "generation and monitoring of events")
EXECUTIONS = Exchange("attune.executions", "everything from an enforcement to the end of its execution")
NOTIFICATIONS = Exchange("attune.notifications", "delivery of notifications")
DEAD_LETTERS = Exchange("attune.dlx", "messages that a queue gave up on")
EXCHANGES = (EVENTS, EXECUTIONS, NOTIFICATIONS, DEAD_LETTERS)

DEAD_LETTER_QUEUE = "attune.dlq"
DEAD_LETTER_KEY = "#"
DELIVERY_LIMIT = 5


@dataclass(frozen=True)
class MessageType:
    """One kind of message and its whole way, from who rings to who answers."""

    name: str  # EnforcementCreated
    exchange: str
    routing_key: str
    queue: str
    noun: str  # ids travel as <noun>_ids
    app: str  # the app that owns the step
    publishers: tuple[str, ...]
    consumer: str  # the service that runs the step
    hint: bool = False  # no owed row behind it: losing one loses nothing
    pooled: bool = False  # has a routing key and a queue for each worker pool

    @property
    def task(self) -> str:
        """The Celery task: attune.enforcement_created."""
        words = "".join(f"_{char.lower()}" if char.isupper() else char for char in self.name)
        return f"{PREFIX}.{words.lstrip('_')}"

    @property
    def argument(self) -> str:
        return f"{self.noun}_ids"

    def key(self, pool: str | None = None) -> str:
        """Return the routing key, for a pool if one is named."""
        return f"{self.routing_key}.{pool}" if pool and self.pooled else self.routing_key

    def queue_name(self, pool: str | None = None) -> str:
        """Return the queue, for a pool if one is named (attune.execution.requests.<pool>.queue)."""
        return f"{self.queue.removesuffix('queue')}{pool}.queue" if pool and self.pooled else self.queue


EVENT_CREATED = MessageType(
    name="EventCreated",
    exchange=EVENTS.name,
    routing_key="event.created",
    queue="attune.events.queue",
    noun="event",
    app="rules",
    publishers=("web", "beat", "sensor", "executor", "notifier"),
    consumer="sensor",
)
ENFORCEMENT_CREATED = MessageType(
    name="EnforcementCreated",
    exchange=EXECUTIONS.name,
    routing_key="enforcement.created",
    queue="attune.executions.queue",
    noun="enforcement",
    app="rules",
    publishers=("sensor",),
    consumer="executor",
)
EXECUTION_REQUESTED = MessageType(
    name="ExecutionRequested",
    exchange=EXECUTIONS.name,
    routing_key="execution.requested",
    queue="attune.execution.requests.queue",
    noun="execution",
    app="executions",
    publishers=("executor", "web", "worker"),
    consumer="worker",
    pooled=True,
)
EXECUTION_STATUS_CHANGED = MessageType(
    name="ExecutionStatusChanged",
    exchange=EXECUTIONS.name,
    routing_key="execution.status.changed",
    queue="attune.execution.status.queue",
    noun="execution",
    app="executions",
    publishers=("worker", "executor", "web"),
    consumer="notifier",
    hint=True,
)
EXECUTION_COMPLETED = MessageType(
    name="ExecutionCompleted",
    exchange=EXECUTIONS.name,
    routing_key="execution.completed",
    queue="attune.execution.completed.queue",
    noun="execution",
    app="executions",
    publishers=("worker", "executor", "web"),
    consumer="executor",
)
MESSAGE_TYPES = (
    EVENT_CREATED,
    ENFORCEMENT_CREATED,
    EXECUTION_REQUESTED,
    EXECUTION_STATUS_CHANGED,
    EXECUTION_COMPLETED,
)


@dataclass(frozen=True)
class Route:
    """One binding: a message type on one routing key into one queue."""

    message: MessageType
    routing_key: str
    queue: str
    pool: str | None = None


def routes(pools: tuple[str, ...] = ()) -> list[Route]:
    """Return every binding of a message type; pooled ones once for the default and for each pool."""
    found = []
    for message in MESSAGE_TYPES:
        for pool in (None, *pools) if message.pooled else (None,):
            found.append(Route(message, message.key(pool), message.queue_name(pool), pool))
    return found


def published_by(service: str, pools: tuple[str, ...] = ()) -> list[Route]:
    """Return the routes that a service publishes on."""
    return [route for route in routes(pools) if service in route.message.publishers]


def consumed_by(service: str, pool: str | None = None) -> list[Route]:
    """Return the routes that a service consumes; a worker those of its own pool."""
    return [
        Route(message, message.key(pool), message.queue_name(pool), pool if message.pooled else None)
        for message in MESSAGE_TYPES
        if message.consumer == service
    ]


def bindings(pools: tuple[str, ...] = ()) -> list[tuple[str, str, str]]:
    """Return every binding as (exchange, routing key, queue), the dead-letter one last."""
    rows = [(route.message.exchange, route.routing_key, route.queue) for route in routes(pools)]
    return [*rows, (DEAD_LETTERS.name, DEAD_LETTER_KEY, DEAD_LETTER_QUEUE)]
