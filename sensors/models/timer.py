"""The one schedule of a rule's timer, ticked by celery beat's scheduler class."""

from django.db import models

from attune_project.rows import Row


class Timer(Row):
    rule = models.ForeignKey("rules.Rule", models.CASCADE, null=True, related_name="+")
    trigger_ref = models.TextField()
    params = models.JSONField(default=dict)
    activated_at = models.DateTimeField()
    next_fire_at = models.DateTimeField(null=True, blank=True)
    last_fire_at = models.DateTimeField(null=True, blank=True)
    fire_count = models.BigIntegerField(default=0)
    enabled = models.BooleanField(default=True)

    class Meta(Row.Meta):
        db_table = "timer"
        constraints = [models.UniqueConstraint(fields=["rule"], name="timer_rule_id_key")]
        indexes = [
            # beat: timers that are due, soonest first
            models.Index(
                fields=["next_fire_at"],
                condition=models.Q(enabled=True, next_fire_at__isnull=False),
                name="timer_due_idx",
            )
        ]

    def __str__(self) -> str:
        return f"timer of rule {self.rule_id}"
