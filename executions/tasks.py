"""The Celery tasks of this app's messages."""

from attune_project.messaging.dispatch import consume
from attune_project.messaging.topology import (
    EXECUTION_COMPLETED,
    EXECUTION_REQUESTED,
    EXECUTION_STATUS_CHANGED,
)

execution_requested = consume(EXECUTION_REQUESTED)
execution_status_changed = consume(EXECUTION_STATUS_CHANGED)
execution_completed = consume(EXECUTION_COMPLETED)
