"""What runs now, and what belongs to it: what tokens of runs hang on."""

from attune_project.identity.runs import Run
from executions.lifecycle.announcing import rows_of

_IS_ON = """
SELECT 1 FROM execution x JOIN attempt t ON t.execution_id = x.id AND t.number = %s
WHERE x.id = %s AND x.status IN ('running', 'canceling') AND x.lease_expires_at > clock_timestamp()
  AND t.finished_at IS NULL
"""
_DESCENDANTS = """
WITH RECURSIVE below AS (
    SELECT id FROM execution WHERE parent_id = %s
    UNION
    SELECT x.id FROM below b JOIN execution x ON x.parent_id = b.id
)
SELECT id FROM below
"""


def is_on(run: Run) -> bool:
    """Tell whether this very attempt runs, under a lease that hasn't ended."""
    return bool(rows_of(_IS_ON, [run.attempt, run.execution_id]))


def descendants(execution_id: int) -> list[int]:
    """Return the ids of the execution's children, of theirs, and so on."""
    return [row[0] for row in rows_of(_DESCENDANTS, [execution_id])]
