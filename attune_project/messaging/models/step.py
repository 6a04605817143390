"""What each step of the pipeline says of itself."""

from django.db import models

from attune_project.rows import Row


class Step(Row):
    """One row per step: when a claim of it last came back full, when it was polled, what polls repaired."""

    name = models.TextField()
    full_claim_at = models.DateTimeField(null=True)
    polled_at = models.DateTimeField(null=True)
    repairs = models.BigIntegerField(default=0)
    repaired_at = models.DateTimeField(null=True)

    class Meta(Row.Meta):
        db_table = "step"
        constraints = [models.UniqueConstraint(fields=["name"], name="step_name_key")]

    def __str__(self) -> str:
        return self.name
