"""scheduled -> completed: what ends at once is run in the transaction that takes it.

Whoever is killed in it leaves the execution `scheduled`, as if nothing had been: what runs so must have no
effect but its result. Only successes end here; what fails goes the way of all others, under a lease, where
it is judged whether it is tried again.
"""

import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from attune_project.faults import fault
from executions.lifecycle.announcing import announce, rows_of
from executions.lifecycle.claiming import ACTION, PICK_INSTANT, UNFIT, Claimant, Claimed, fitness
from executions.lifecycle.finishing import Ended
from executions.lifecycle.freeing import free_slots
from executions.log_chunks import NOTHING_LEFT

NO_LEASE = uuid.UUID(int=0)
# The actions are the same for many rows: they are put together once, and stand in the first row only.
_TAKE = f"""
WITH unfit AS MATERIALIZED ({UNFIT}), {PICK_INSTANT}
SELECT pool.waits,
       CASE WHEN i.id = (SELECT min(id) FROM instant) THEN (
           SELECT jsonb_object_agg(a.id, {ACTION}) FROM action a
           WHERE a.id IN (SELECT action_id FROM instant)) END,
       i.id, i.action_id, i.action_ref, i.config, i.env_vars, i.rule_ref,
       i.trigger_ref, i.trace_id,
       (SELECT COALESCE(max(t.number), 0) + 1 FROM attempt t WHERE t.execution_id = i.id)
FROM (SELECT EXISTS (SELECT 1 FROM execution x
                     WHERE x.status = 'scheduled' AND x.worker_pool IS NOT DISTINCT FROM %(pool)s
                       AND x.id NOT IN (SELECT id FROM instant)) AS waits) pool
LEFT JOIN instant i ON true ORDER BY i.id
"""  # noqa: S608 (texts of our own)
_END = """
WITH given AS (
    SELECT * FROM unnest(%s::bigint[], %s::int[], %s::jsonb[]) AS given(id, attempt, result)
), done AS (
    UPDATE execution x
    SET status = 'completed', status_reason = NULL, worker_id = %s, result = g.result,
        started_at = GREATEST(transaction_timestamp(), x.scheduled_at),
        finished_at = GREATEST(clock_timestamp(), x.scheduled_at), updated = clock_timestamp()
    FROM given g WHERE x.id = g.id AND x.status = 'scheduled'
    RETURNING x.id, x.status, x.worker_pool, x.policy_id, g.attempt, x.worker_id, x.started_at, x.finished_at
), tries AS (
    INSERT INTO attempt (execution_id, number, worker_id, status, started_at, finished_at)
    SELECT id, attempt, worker_id, status, started_at, finished_at FROM done
)
SELECT id, status, worker_pool, policy_id FROM done
"""


@dataclass(frozen=True)
class Completed:
    """How many executions were completed, how many of those taken were not, and whether more waits."""

    count: int
    left: int
    more: bool  # in the pool, of any kind


def complete(by: Claimant, limit: int, instant: Sequence[str], run: Callable[[Claimed], Ended]) -> Completed:
    """Take up to `limit` scheduled executions that end at once, oldest first, run them, store their results.

    `instant` names the builtin entrypoints that may run so; `run` must neither wait nor touch the database.
    What doesn't succeed stays `scheduled`.
    """
    parameters = {**fitness(by), "worker": by.worker_id, "instants": list(instant), "instant": limit}
    with transaction.atomic():
        rows = rows_of(_TAKE, parameters)
        taken = _claimed(rows)
        ended = [(one, run(one)) for one in taken]
        good = [pair for pair in ended if pair[1].status == "completed" and pair[1].rest == NOTHING_LEFT]
        changed = _end(by, good)
        free_slots(changed)
        announce(changed)
        if changed:
            fault("instant.before_commit")
    return Completed(len(changed), len(taken) - len(changed), rows[0][0])


def _claimed(rows: list[tuple[Any, ...]]) -> list[Claimed]:
    actions = json.loads(rows[0][1] or "{}")
    return [
        Claimed(
            id=row[2], token=NO_LEASE, action_ref=row[4], config=json.loads(row[5]),
            env_vars=json.loads(row[6] or "{}"), rule_ref=row[7], trigger_ref=row[8], trace_id=row[9],
            attempt=row[10], action=actions.get(str(row[3])), pack_dir=None,
        )
        for row in rows if row[2] is not None
    ]  # fmt: skip


def _end(by: Claimant, good: Sequence[tuple[Claimed, Ended]]) -> list[tuple[Any, ...]]:
    if not good:
        return []
    return rows_of(
        _END,
        [
            [claimed.id for claimed, _ in good],
            [claimed.attempt for claimed, _ in good],
            [json.dumps(ended.result) for _, ended in good],
            by.worker_id,
        ],
    )
