"""What every table of Attune has: a 64-bit id and the times of the row."""

from typing import Any

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone


class Row(models.Model):
    """Base of every model. Statements in raw SQL and `.update()` set `updated` themselves."""

    id = models.BigAutoField(primary_key=True)
    created = models.DateTimeField(db_default=Now(), editable=False)
    updated = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        abstract = True
        ordering = ("-created", "-id")

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            self.updated = timezone.now()
            fields = kwargs.get("update_fields")
            if fields is not None:
                kwargs["update_fields"] = {*fields, "updated"}
        super().save(*args, **kwargs)


def one_of(name: str, field: str, choices: type[models.TextChoices]) -> models.CheckConstraint:
    """Return the CHECK that holds a text status to its vocabulary."""
    return models.CheckConstraint(condition=models.Q(**{f"{field}__in": choices.values}), name=name)
