"""A trigger: a kind of event."""

from django.db import models

from attune_project.rows import Row


class Trigger(Row):
    ref = models.TextField()
    pack = models.ForeignKey("packs.Pack", models.CASCADE, null=True, blank=True, related_name="triggers")
    pack_ref = models.TextField(null=True, blank=True)
    label = models.TextField()
    description = models.TextField(null=True, blank=True)
    enabled = models.BooleanField(default=True)
    is_adhoc = models.BooleanField(default=False)
    param_schema = models.JSONField(null=True, blank=True)
    out_schema = models.JSONField(null=True, blank=True)
    webhook_enabled = models.BooleanField(default=False)
    webhook_key = models.TextField(null=True, blank=True)
    webhook_config = models.JSONField(default=dict, blank=True)
    sensor = models.ForeignKey(
        "sensors.Sensor", models.SET_NULL, null=True, blank=True, related_name="triggers"
    )
    sensor_ref = models.TextField(null=True, blank=True)

    class Meta(Row.Meta):
        db_table = "trigger"
        constraints = [
            models.UniqueConstraint(fields=["ref"], name="trigger_ref_key"),
            models.UniqueConstraint(fields=["webhook_key"], name="trigger_webhook_key_key"),
        ]

    def __str__(self) -> str:
        return self.ref
