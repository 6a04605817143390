"""Messages that the broker gave up on, and rows whose own step failed again and again."""

from django.db import models

from attune_project.rows import Row


class DeadLetter(Row):
    """One message from the dead-letter queue, or one row that a step has set aside."""

    message_id = models.TextField(null=True)
    queue = models.TextField()
    exchange = models.TextField()
    routing_key = models.TextField()
    reason = models.TextField()
    body = models.TextField()  # as it came: it may not be JSON
    headers = models.JSONField(default=dict)
    trace_id = models.UUIDField(null=True)
    step = models.TextField(null=True)  # the step that set the row aside
    row_id = models.BigIntegerField(null=True)
    requeued_at = models.DateTimeField(null=True)

    class Meta(Row.Meta):
        db_table = "dead_letter"
        constraints = [
            models.UniqueConstraint(
                fields=["step", "row_id"],
                condition=models.Q(step__isnull=False, requeued_at__isnull=True),
                name="dead_letter_step_row_key",
            )
        ]
        indexes = [
            # GET /health, /metrics: how many wait for a person
            models.Index(
                fields=["routing_key"],
                condition=models.Q(requeued_at__isnull=True),
                name="dead_letter_open_idx",
            )
        ]

    def __str__(self) -> str:
        return f"{self.routing_key}: {self.reason}"
