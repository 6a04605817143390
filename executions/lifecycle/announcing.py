"""Tell the others of executions that changed, once the transaction has committed."""

from collections.abc import Sequence
from typing import Any

from attune_project.messaging.ring import ring
from attune_project.messaging.topology import (
    EXECUTION_COMPLETED,
    EXECUTION_REQUESTED,
    EXECUTION_STATUS_CHANGED,
)
from attune_project.statements import rows_of
from executions.models import TERMINAL, Status

__all__ = ["announce", "rows_of"]


def announce(changed: Sequence[tuple[Any, ...]]) -> None:
    """Ring for executions that changed, as (id, new status, pool, policy id), once this has committed.

    The steps that wait are rung first, the streams last: each message is confirmed before the next.
    """
    by_pool: dict[str | None, list[int]] = {}
    for row_id, status, pool, *_ in changed:
        if status == Status.SCHEDULED:
            by_pool.setdefault(pool, []).append(row_id)
    for pool, ids in by_pool.items():
        ring(EXECUTION_REQUESTED, ids, pool)
    ended = [row for row in changed if row[1] in TERMINAL]
    awaited = any(row[3] is not None for row in ended)  # others may wait for a slot of the same policy
    ring(EXECUTION_COMPLETED, [row[0] for row in ended], lazily=not awaited)
    ring(EXECUTION_STATUS_CHANGED, [row[0] for row in changed])
