"""Leases while they last: a worker renews what it works under, or gives it back."""

import uuid
from collections.abc import Collection

from django.conf import settings

from executions.lifecycle.announcing import rows_of

# Rows are locked in the order of their ids, here and where attempts end, so that the two can't deadlock.
# `worker_id + 0`: few executions are under a lease; the index by worker has all that it ever ran.
_RENEW = """
WITH mine AS MATERIALIZED (
    SELECT id FROM execution
    WHERE worker_id + 0 = %s AND status IN ('running', 'canceling') AND lease_token = ANY(%s)
    ORDER BY id FOR UPDATE
)
UPDATE execution x SET lease_expires_at = clock_timestamp() + make_interval(secs => %s)
FROM mine WHERE x.id = mine.id RETURNING x.lease_token, x.status
"""


def renew(worker_id: int, tokens: Collection[uuid.UUID]) -> dict[uuid.UUID, str]:
    """Renew the leases that a worker process still works under; return the status of each by its token.

    Only those: a claim whose answer was lost on the way, or an end that could not be stored, would
    otherwise be kept alive by a process that knows nothing of it. Cancels come back as `canceling`.
    """
    if not tokens:
        return {}
    return dict(rows_of(_RENEW, [worker_id, list(tokens), settings.ATTUNE_LEASE_SECONDS]))


_CANCELLED = """
SELECT lease_token FROM execution
WHERE status = 'canceling' AND worker_id + 0 = %s AND lease_token = ANY(%s)
"""


def cancelled(worker_id: int, tokens: Collection[uuid.UUID]) -> list[uuid.UUID]:
    """Return which of a worker's leases are of executions that are to stop."""
    return [row[0] for row in rows_of(_CANCELLED, [worker_id, list(tokens)])] if tokens else []


_RELEASE = """
WITH mine AS MATERIALIZED (
    SELECT id FROM execution
    WHERE worker_id + 0 = %s AND status IN ('running', 'canceling')
      AND (%s::uuid[] IS NULL OR lease_token = ANY(%s::uuid[]))
    ORDER BY id FOR UPDATE
)
UPDATE execution x SET lease_expires_at = clock_timestamp() FROM mine WHERE x.id = mine.id RETURNING x.id
"""


def release(worker_id: int, tokens: Collection[uuid.UUID] | None = None) -> int:
    """End leases of a worker, all of them when it stops: what it ran is treated as a lost worker's."""
    return len(rows_of(_RELEASE, [worker_id, *[None if tokens is None else list(tokens)] * 2]))
