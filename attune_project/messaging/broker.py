"""Connections to the broker, with a time limit on everything."""

from typing import Any

from django.conf import settings
from kombu import Connection

CONSUMER_TIMEOUT = 10.0


def is_amqp() -> bool:
    return str(settings.BROKER_URL).startswith(("amqp", "pyamqp"))


def transport_options() -> dict[str, Any]:
    """Return kombu's options: confirms and socket limits on RabbitMQ, else quick redelivery."""
    if is_amqp():
        return {
            "confirm_publish": True,
            "read_timeout": settings.ATTUNE_PUBLISH_TIMEOUT,
            "write_timeout": settings.ATTUNE_PUBLISH_TIMEOUT,
        }
    return {
        "visibility_timeout": 5,
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
        "socket_timeout": max(5.0, settings.ATTUNE_PUBLISH_TIMEOUT),
        "socket_connect_timeout": settings.ATTUNE_PUBLISH_TIMEOUT,
        "socket_keepalive": True,
        "health_check_interval": 10,
        "fanout_prefix": True,
        "fanout_patterns": True,
    }


def consumer_options() -> dict[str, Any]:
    """Return the options of Celery's own connections: without a limit a silent broker holds them for ever.

    A wide one, since a broker that is merely busy takes seconds to declare a queue.
    """
    limits = {"read_timeout": CONSUMER_TIMEOUT, "write_timeout": CONSUMER_TIMEOUT} if is_amqp() else {}
    return {**transport_options(), **limits}


def connect() -> Connection:
    """Return a connection of our own (not Celery's pool): for publishing, declaring and looking."""
    return Connection(
        settings.BROKER_URL,
        transport_options=transport_options(),
        connect_timeout=settings.ATTUNE_PUBLISH_TIMEOUT,
        heartbeat=0,
    )
