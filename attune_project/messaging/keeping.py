"""Keep a dead letter as a row: one row for a message, however often it dies, until a person closes it."""

import json
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

import structlog

from attune_project.statements import rows_of

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Dead:
    """What is kept. `step` and `row_id` are those of a row that was set aside; a message has neither."""

    queue: str
    exchange: str
    routing_key: str
    reason: str
    detail: str = ""
    body: str = ""
    headers: str = "{}"  # JSON
    properties: str = "{}"  # JSON
    message_id: str | None = None
    trace_id: UUID | None = None
    step: str | None = None
    row_id: int | None = None
    deaths: int = 1


_KEEP = """
WITH known AS (
    UPDATE dead_letter SET deaths = deaths + 1, last_seen_at = clock_timestamp(),
           updated = clock_timestamp(), reason = %(reason)s, detail = %(detail)s
    WHERE id = (SELECT min(id) FROM dead_letter
                WHERE message_id = %(message_id)s AND step IS NULL
                  AND requeued_at IS NULL AND discarded_at IS NULL)
    RETURNING id
), made AS (
    INSERT INTO dead_letter (queue, exchange, routing_key, reason, detail, body, headers, properties,
                             message_id, trace_id, step, row_id, deaths, first_seen_at)
    SELECT %(queue)s, %(exchange)s, %(routing_key)s, %(reason)s, %(detail)s, %(body)s, %(headers)s::jsonb,
           %(properties)s::jsonb, %(message_id)s, %(trace_id)s::uuid, %(step)s, %(row_id)s::bigint,
           %(deaths)s::int, COALESCE((SELECT f.created FROM step_failure f
                                      WHERE f.step = %(step)s AND f.row_id = %(row_id)s::bigint), now())
    WHERE NOT EXISTS (SELECT 1 FROM known)
    ON CONFLICT (step, row_id) WHERE step IS NOT NULL AND requeued_at IS NULL AND discarded_at IS NULL
    DO NOTHING RETURNING id
)
SELECT id FROM known UNION ALL SELECT id FROM made
"""


def keep(dead: Dead) -> int | None:
    """Store a dead letter; return its id, None for a row that has an open one already."""
    values: dict[str, Any] = {**asdict(dead), "trace_id": dead.trace_id and str(dead.trace_id)}
    rows = rows_of(_KEEP, values)
    log.error(
        "dead letter", queue=dead.queue, routing_key=dead.routing_key, reason=dead.reason,
        step=dead.step, row=dead.row_id, detail=dead.detail[-300:],
    )  # fmt: skip
    return int(rows[0][0]) if rows else None


def body_of(argument: str, row_id: int) -> str:
    """Return what a message about one row says."""
    return json.dumps({argument: [row_id]})
