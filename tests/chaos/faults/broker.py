"""A RabbitMQ that is stopped, wiped, full, or has lost a queue or a binding."""

from kombu import Connection

from attune_project.messaging import topology
from tests.chaos.faults.fault import Fault

AWAY = ("broker", "publish", "probe:", "topology", "unroutable")
UNREAD = (*AWAY, "poll:", "owed:", "canary")


class BrokerStopped(Fault):
    name = "broker-stopped"
    lasts = (2.0, 8.0)
    alarms = AWAY

    def inject(self) -> None:
        self.stage.servers.rabbitmq.control("stop_app")

    def lift(self) -> None:
        self.stage.servers.rabbitmq.control("start_app")


class BrokerWiped(BrokerStopped):
    """Everything on it is gone: queues, bindings, messages, users (its own comes back from its file)."""

    name = "broker-wiped"

    def inject(self) -> None:
        self.stage.servers.rabbitmq.control("stop_app")
        self.stage.servers.rabbitmq.control("reset")


class BrokerOutOfMemory(Fault):
    """The memory alarm: publishers' connections are blocked, consumers read on."""

    name = "broker-memory"
    lasts = (4.0, 10.0)
    alarms = UNREAD

    def inject(self) -> None:
        self.stage.servers.rabbitmq.control("set_vm_memory_high_watermark", "0.0001")

    def lift(self) -> None:
        self.stage.servers.rabbitmq.control("set_vm_memory_high_watermark", "0.4")


class QueueDeleted(Fault):
    name = "queue-deleted"
    alarms = UNREAD
    lasts = (1.0, 6.0)

    def inject(self) -> None:
        message = self.random.choice(topology.MESSAGE_TYPES)
        with Connection(self.stage.servers.rabbitmq.url) as connection, connection.channel() as channel:
            channel.queue_delete(message.queue)


class BindingRemoved(Fault):
    """Messages find no queue. The publisher is told, and the product's own declaring mends it; if it has
    not until the end, an operator does."""

    name = "binding-removed"
    alarms = UNREAD
    lasts = (4.0, 10.0)

    def inject(self) -> None:
        message = self.message = self.random.choice(topology.MESSAGE_TYPES)
        with Connection(self.stage.servers.rabbitmq.url) as connection, connection.channel() as channel:
            channel.queue_unbind(message.queue, message.exchange, message.routing_key)

    def lift(self) -> None:
        one = self.message
        with Connection(self.stage.servers.rabbitmq.url) as connection, connection.channel() as channel:
            channel.queue_bind(one.queue, one.exchange, one.routing_key)


FAULTS = [BrokerStopped, BrokerWiped, BrokerOutOfMemory, QueueDeleted, BindingRemoved]
