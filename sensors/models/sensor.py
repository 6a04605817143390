"""A sensor: a long-running process of a pack that records events."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from attune_project.rows import Row


class Sensor(Row):
    ref = models.TextField()
    pack = models.ForeignKey("packs.Pack", models.CASCADE, null=True, blank=True, related_name="sensors")
    pack_ref = models.TextField(null=True, blank=True)
    label = models.TextField()
    description = models.TextField(null=True, blank=True)
    entrypoint = models.TextField()
    runtime = models.ForeignKey("packs.Runtime", models.PROTECT, related_name="sensors")
    runtime_ref = models.TextField()
    trigger_refs = ArrayField(models.TextField(), default=list, blank=True)
    enabled = models.BooleanField(default=True)
    is_adhoc = models.BooleanField(default=False)
    param_schema = models.JSONField(null=True, blank=True)
    config = models.JSONField(null=True, blank=True)
    worker_selector = models.JSONField(default=dict, blank=True)
    worker_tolerations = models.JSONField(default=list, blank=True)
    worker_affinity = models.JSONField(default=dict, blank=True)

    class Meta(Row.Meta):
        db_table = "sensor"
        constraints = [models.UniqueConstraint(fields=["ref"], name="sensor_ref_key")]

    def __str__(self) -> str:
        return self.ref
