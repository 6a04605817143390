"""The table as kombu entities: the same declarations everywhere."""

from kombu import Connection, Exchange, Queue

from attune_project.messaging import topology

QUEUE_ARGUMENTS = {
    "x-queue-type": "quorum",
    "x-delivery-limit": topology.DELIVERY_LIMIT,
    "x-dead-letter-exchange": topology.DEAD_LETTERS.name,
}


def exchange(name: str) -> Exchange:
    return Exchange(name, type="topic", durable=True, delivery_mode="persistent")


def queue(exchange_name: str, routing_key: str, name: str) -> Queue:
    """Return a durable quorum queue with its one binding; the dead-letter queue has no limit of its own."""
    arguments = QUEUE_ARGUMENTS
    if name == topology.DEAD_LETTER_QUEUE:
        arguments = {"x-queue-type": "quorum"}
    return Queue(
        name, exchange(exchange_name), routing_key=routing_key, durable=True, queue_arguments=dict(arguments)
    )


def queues(pools: tuple[str, ...] = ()) -> list[Queue]:
    """Return every queue of the table, the dead-letter queue last."""
    return [queue(*binding) for binding in topology.bindings(pools)]


def dead_letter_queue() -> Queue:
    return queue(topology.DEAD_LETTERS.name, topology.DEAD_LETTER_KEY, topology.DEAD_LETTER_QUEUE)


def declare_all(connection: Connection, pools: tuple[str, ...] = ()) -> None:
    """Declare every exchange, queue and binding of the table. Safe to repeat."""
    with connection.channel() as channel:
        for name in topology.EXCHANGES:
            exchange(name.name)(channel).declare()
        for entity in queues(pools):
            entity(channel).declare()
