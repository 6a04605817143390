"""How often something was tried of late, counted in the database so that every process sees it."""

from django.db import models

from attune_project.rows import Row


class RateCounter(Row):
    """Tries under one key since `started_at`; see identity/throttle.py."""

    key = models.CharField(max_length=600)
    started_at = models.DateTimeField()
    tries = models.PositiveIntegerField(default=0)

    class Meta(Row.Meta):
        db_table = "rate_counter"
        constraints = [models.UniqueConstraint(fields=["key"], name="rate_counter_key_key")]
        indexes = [
            # Retention: counters of the past.
            models.Index(fields=["started_at"], name="rate_counter_by_start")
        ]

    def __str__(self) -> str:
        return self.key
