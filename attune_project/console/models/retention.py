"""How long history is kept, as operators have set it, and what has gone so far."""

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from attune_project.rows import Row

LONGEST_DAYS = 36_500
DAYS = [MinValueValidator(1), MaxValueValidator(LONGEST_DAYS)]


class RetentionConfig(Row):
    """One row at most, of id 1; what is null there is as the environment says.

    No limit is below a day: webhooks are deduplicated for as long as their events are kept.
    """

    enabled = models.BooleanField(null=True, blank=True)
    runtime_days = models.IntegerField(null=True, blank=True, validators=DAYS)
    audit_days = models.IntegerField(null=True, blank=True, validators=DAYS)
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )

    class Meta(Row.Meta):
        db_table = "retention_config"
        verbose_name = "retention"
        constraints = [
            models.CheckConstraint(condition=Q(id=1), name="retention_config_one_check"),
            models.CheckConstraint(
                condition=(Q(runtime_days__isnull=True) | Q(runtime_days__gte=1))
                & (Q(audit_days__isnull=True) | Q(audit_days__gte=1)),
                name="retention_config_days_check",
            ),
        ]

    def __str__(self) -> str:
        return "retention"


class RetentionCount(Row):
    """How many rows of a table retention has deleted, and when last."""

    name = models.TextField()  # of the table
    deleted = models.BigIntegerField(default=0)

    class Meta(Row.Meta):
        db_table = "retention_count"
        constraints = [models.UniqueConstraint(fields=["name"], name="retention_count_name_key")]

    def __str__(self) -> str:
        return self.name
