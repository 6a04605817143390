"""What a step, or a consumer, has failed at: counted before it is set aside."""

from django.db import models

from attune_project.rows import Row


class StepFailure(Row):
    """A row of the pipeline, or a message, that something failed at.

    Claims pass over such a row; it is tried alone, with growing pauses. Once it is set aside, `retry_at` is
    null and an open dead letter says why. A message's row carries our reason to whoever keeps it.
    """

    step = models.TextField()  # a step's name, or MESSAGES
    row_id = models.BigIntegerField(null=True)
    message_id = models.TextField(null=True)
    failures = models.IntegerField()
    reason = models.TextField()
    detail = models.TextField()
    retry_at = models.DateTimeField(null=True)

    class Meta(Row.Meta):
        db_table = "step_failure"
        constraints = [
            # claims: the rows of a step that are passed over
            models.UniqueConstraint(fields=["step", "row_id"], name="step_failure_step_row_id_key"),
            models.UniqueConstraint(fields=["step", "message_id"], name="step_failure_step_message_id_key"),
        ]
        indexes = [
            # polls: what is to be tried again, by when
            models.Index(
                fields=["step", "retry_at"],
                condition=models.Q(retry_at__isnull=False),
                name="step_failure_retry_idx",
            )
        ]

    def __str__(self) -> str:
        return f"{self.step} {self.row_id or self.message_id}: {self.reason}"
