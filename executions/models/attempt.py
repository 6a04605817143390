"""An attempt: one try of a worker at an execution."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.db import models

from attune_project.rows import Row, one_of
from executions.models.execution import TERMINAL, Status

if TYPE_CHECKING:
    from executions.models.execution import Execution


class Attempt(Row):
    execution = models.ForeignKey(
        "executions.Execution",
        models.CASCADE,
        db_constraint=False,
        db_index=False,
        related_name="attempts",
    )
    number = models.IntegerField()
    worker = models.ForeignKey(
        "packs.Worker", models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+"
    )
    status = models.TextField(choices=Status)
    result = models.JSONField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta(Row.Meta):
        db_table = "attempt"
        constraints = [
            models.UniqueConstraint(fields=["execution", "number"], name="attempt_execution_id_number_key"),
            one_of("attempt_status_check", "status", Status),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of execution {self.execution_id}"


def with_results(execution: "Execution", attempts: Sequence[Attempt]) -> Sequence[Attempt]:
    """Give the last of an execution's attempts, in the order of their numbers, the result that it came to.

    It is stored once, at the execution, when the attempt's end is the execution's. One that went back to be
    tried again (without `started_at`) and was then cancelled has an end that is no attempt's.
    """
    last = attempts[-1] if attempts else None
    ended = execution.status in TERMINAL and execution.started_at is not None
    if last is not None and ended and last.finished_at is not None and last.result is None:
        last.result = execution.result
    return attempts
