"""What a worker says of itself every few seconds, and what it hears in return."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from attune_project.packs.models import WorkerStatus
from executions.lifecycle.announcing import rows_of

_BEAT = """
UPDATE worker w
SET last_heartbeat = clock_timestamp(), status = %s, updated = now(), meta = w.meta || %s::jsonb,
    capabilities = w.capabilities || %s::jsonb
WHERE w.id = %s
RETURNING w.cordoned, w.drain_requested_at IS NOT NULL, EXISTS (
    SELECT 1 FROM worker o
    WHERE o.id <> w.id AND o.worker_role = 'action' AND o.pool IS NOT DISTINCT FROM w.pool
      AND o.status IN ('active', 'busy') AND NOT o.cordoned
      AND o.last_heartbeat > clock_timestamp() - make_interval(secs => %s))
"""


@dataclass(frozen=True)
class Wish:
    """What operators want of a worker, and whether another one of its pool takes work."""

    cordoned: bool
    drain: bool
    others: bool


def beat(
    worker_id: int, status: WorkerStatus, meta: Mapping[str, Any], capabilities: Mapping[str, Any]
) -> Wish | None:
    """Say that a worker lives; return what is wanted of it, or None if its row is gone."""
    lease = settings.ATTUNE_LEASE_SECONDS
    rows = rows_of(_BEAT, [status.value, json.dumps(meta), json.dumps(capabilities), worker_id, lease])
    return Wish(*rows[0]) if rows else None
