"""An attempt: one try of a worker at an execution."""

from django.db import models

from attune_project.rows import Row, one_of
from executions.models.execution import Status


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
