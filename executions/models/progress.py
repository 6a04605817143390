"""How far an execution has come, in its own words."""

from django.db import models
from django.db.models import Q

from attune_project.rows import Row


class Progress(Row):
    execution = models.OneToOneField(
        "executions.Execution", models.CASCADE, db_constraint=False, related_name="progress"
    )
    percent = models.FloatField(null=True)
    text = models.TextField(null=True)

    class Meta(Row.Meta):
        db_table = "progress"
        constraints = [
            models.CheckConstraint(
                condition=Q(percent__isnull=True) | Q(percent__gte=0, percent__lte=100),
                name="progress_percent_check",
            )
        ]

    def __str__(self) -> str:
        return f"progress of execution {self.execution_id}"
