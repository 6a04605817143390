"""Where waiting executions stand in their queues."""

from collections.abc import Iterable

from django.db import connection

from executions.models import Execution, Status

# Of each queue that is asked about, all who wait are numbered once.
_PLACES = """
WITH queues AS (
    SELECT DISTINCT policy_id, policy_group FROM execution
    WHERE id = ANY(%s) AND status = 'requested' AND queued_at IS NOT NULL
), numbered AS (
    SELECT x.id, row_number() OVER (PARTITION BY x.policy_id, x.policy_group ORDER BY x.priority DESC, x.id),
           count(*) OVER (PARTITION BY x.policy_id, x.policy_group)
    FROM queues q JOIN execution x ON x.policy_id = q.policy_id AND x.policy_group = q.policy_group
    WHERE x.status = 'requested' AND x.queued_at IS NOT NULL
)
SELECT id, row_number, count FROM numbered WHERE id = ANY(%s)
"""


def places(executions: Iterable[Execution]) -> dict[int, tuple[int, int]]:
    """Return (place, length) of those executions that wait in a policy's queue, by id; place 1 is next.

    One query for all of them; none when none of them can be waiting.
    """
    ids = [one.pk for one in executions if one.status == Status.REQUESTED and one.policy_id is not None]
    if not ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_PLACES, [ids, ids])
        return {row[0]: (row[1], row[2]) for row in cursor.fetchall()}
