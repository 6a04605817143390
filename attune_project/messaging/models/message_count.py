"""Counters of every process, added up where they outlive it."""

from django.db import models

from attune_project.rows import Row


class MessageCount(Row):
    """How often something happened to a message: published, unroutable, failed, consumed, refused."""

    name = models.TextField()
    label = models.TextField()
    outcome = models.TextField()
    total = models.BigIntegerField(default=0)

    class Meta(Row.Meta):
        db_table = "message_count"
        constraints = [
            models.UniqueConstraint(
                fields=["name", "label", "outcome"], name="message_count_name_label_outcome_key"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.label} {self.outcome}"
