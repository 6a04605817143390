"""Messages that were given up on, and rows whose own step failed again and again."""

from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Now

from attune_project.rows import Row

OPEN = Q(requeued_at__isnull=True, discarded_at__isnull=True)


class DeadLetter(Row):
    """One message from the dead-letter queue, or one row that a step has set aside.

    Open until a person re-drives or discards it; who did so and why stays with it.
    """

    message_id = models.TextField(null=True)
    queue = models.TextField()
    exchange = models.TextField()
    routing_key = models.TextField()
    reason = models.TextField()  # one word of a few: the broker's, or of reasons.py
    detail = models.TextField(db_default="")  # in full: a traceback, say
    body = models.TextField()  # as it came: it may not be JSON
    headers = models.JSONField(default=dict)
    properties = models.JSONField(
        db_default=Value({}, models.JSONField())
    )  # content_type and content_encoding, to publish it again
    trace_id = models.UUIDField(null=True)
    step = models.TextField(null=True)  # the step that set the row aside
    row_id = models.BigIntegerField(null=True)
    deaths = models.IntegerField(db_default=1)  # of the message; or failures of the row
    first_seen_at = models.DateTimeField(db_default=Now())
    last_seen_at = models.DateTimeField(db_default=Now())
    requeued_at = models.DateTimeField(null=True)
    discarded_at = models.DateTimeField(null=True)
    closed_by_id = models.BigIntegerField(null=True)  # an identity; null: from a shell
    closed_by_login = models.TextField(null=True)
    closed_reason = models.TextField(null=True)

    class Meta(Row.Meta):
        db_table = "dead_letter"
        constraints = [
            models.UniqueConstraint(
                fields=["step", "row_id"],
                condition=Q(step__isnull=False) & OPEN,
                name="dead_letter_step_row_key",
            )
        ]
        indexes = [
            # GET /health, /metrics: how many wait for a person
            models.Index(fields=["queue", "reason"], condition=OPEN, name="dead_letter_open_idx"),
            # keeping: the same message, dead once more
            models.Index(
                fields=["message_id"],
                condition=Q(message_id__isnull=False) & OPEN,
                name="dead_letter_message_idx",
            ),
            # lists, newest first
            models.Index(fields=["-created", "-id"], name="dead_letter_created_idx"),
        ]

    @property
    def is_open(self) -> bool:
        return self.requeued_at is None and self.discarded_at is None

    @property
    def status(self) -> str:
        if self.is_open:
            return "open"
        return "requeued" if self.requeued_at else "discarded"

    def __str__(self) -> str:
        return f"{self.routing_key}: {self.reason}"
