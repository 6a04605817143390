"""running -> running: why an execution that has a worker doesn't get on."""

import uuid

from django.db import transaction

from attune_project.messaging.ring import ring
from attune_project.messaging.topology import EXECUTION_STATUS_CHANGED
from executions.lifecycle.announcing import rows_of


def explain(execution_id: int, token: uuid.UUID, reason: str | None) -> bool:
    """Say what a running execution waits for (None: nothing); return whether the lease still holds."""
    with transaction.atomic():
        rows = rows_of(
            "UPDATE execution SET status_reason = %s, updated = clock_timestamp()"
            " WHERE id = %s AND lease_token = %s AND status = 'running' RETURNING id",
            [reason, execution_id, token],
        )
        ring(EXECUTION_STATUS_CHANGED, [row[0] for row in rows])
    return bool(rows)
