"""The rows of the hand-written pipeline."""

from django.db import models


class Row(models.Model):
    created = models.DateTimeField(auto_now_add=True)
    updated = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True
        app_label = "baseline"


class Event(Row):
    trigger_ref = models.TextField(db_index=True)
    payload = models.JSONField()

    def __str__(self) -> str:
        return f"event {self.pk}"


class Enforcement(Row):
    event = models.ForeignKey(Event, models.CASCADE, db_constraint=False, related_name="enforcements")
    rule_ref = models.TextField()
    status = models.TextField(default="created")
    config = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"enforcement {self.pk}"


class Execution(Row):
    enforcement = models.ForeignKey(
        Enforcement, models.CASCADE, db_constraint=False, related_name="executions"
    )
    action_ref = models.TextField()
    status = models.TextField(default="requested", db_index=True)
    config = models.JSONField(default=dict)
    result = models.JSONField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"execution {self.pk}"


MODELS = (Event, Enforcement, Execution)
