"""The Celery application: made from the table of messages and the settings."""

import os
import warnings

from celery import Celery
from celery.signals import beat_init, setup_logging
from django.conf import settings

from attune_project.messaging import broker, declare, pools, ticker, topology
from attune_project.messaging.consumer import Ticks

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "attune_project.settings")
app = Celery("attune")


@setup_logging.connect
def keep_our_logging(**_: object) -> None:
    """Keep Celery from replacing the logging that settings have configured."""


@beat_init.connect
def tick_in_beat(**_: object) -> None:
    """Start beat's own clock (probes, counts, alerts): a beat has no worker blueprint to start it."""
    ticker.start("beat")


def configure() -> None:
    """Set everything that Celery must know, from the one table."""
    names = pools.declared()
    app.conf.update(
        broker_url=settings.BROKER_URL,
        broker_transport_options=broker.consumer_options(),
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_connection_timeout=5,
        broker_heartbeat=30,
        broker_pool_limit=2,
        task_queues=declare.queues(names),
        task_routes={
            message.task: {
                "exchange": message.exchange,
                "routing_key": message.routing_key,
            }
            for message in topology.MESSAGE_TYPES
        },
        task_default_exchange=topology.EVENTS.name,
        task_default_exchange_type="topic",
        task_default_queue=topology.EVENT_CREATED.queue,
        task_default_routing_key=topology.EVENT_CREATED.routing_key,
        task_create_missing_queues=False,
        task_default_queue_type="quorum",
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_serializer="json",
        result_serializer="json",
        accept_content=["json"],
        event_serializer="json",
        worker_prefetch_multiplier=16,
        worker_consumer="attune_project.messaging.consumer:AttuneConsumer",
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_soft_shutdown_timeout=0,
        timezone="UTC",
        enable_utc=True,
        beat_scheduler="sensors.beat:AttuneScheduler",
    )
    # Read by Celery's Django fixup from app.conf under exactly this name: without it every task
    # opens a database connection of its own.
    app.conf.CELERY_DB_REUSE_MAX = 10**9


# `./attune up` says so itself, once; Celery says it in ten lines for every service.
warnings.filterwarnings("ignore", message=r"[\s\S]*superuser privileges")

configure()
app.steps["worker"].add(Ticks)
app.autodiscover_tasks(["rules", "executions"])
