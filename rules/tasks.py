"""The Celery tasks of this app's messages."""

from attune_project.messaging.dispatch import consume
from attune_project.messaging.topology import ENFORCEMENT_CREATED, EVENT_CREATED

event_created = consume(EVENT_CREATED)
enforcement_created = consume(ENFORCEMENT_CREATED)
