"""How often something was tried of late, counted in the database so that every process sees it."""

from typing import ClassVar

from django.db import models

from attune_project.rows import Row


class RateCounter(Row):
    """Tries under one key since `started_at`; see identity/throttle.py."""

    key = models.CharField(max_length=600, unique=True)
    started_at = models.DateTimeField()
    tries = models.PositiveIntegerField(default=0)

    class Meta:
        db_table = "rate_counter"
        indexes: ClassVar[list[models.Index]] = [
            # Retention: counters of the past.
            models.Index(fields=["started_at"], name="rate_counter_by_start")
        ]

    def __str__(self) -> str:
        return self.key
