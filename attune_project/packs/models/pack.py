"""A pack: a folder of actions, triggers and rules that is installed as one."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from attune_project.rows import Row


class Pack(Row):
    ref = models.TextField()
    label = models.TextField()
    description = models.TextField(null=True, blank=True)
    version = models.TextField()
    conf_schema = models.JSONField(default=dict, blank=True)
    config = models.JSONField(default=dict, blank=True)
    meta = models.JSONField(default=dict, blank=True)
    tags = ArrayField(models.TextField(), default=list, blank=True)
    runtime_deps = ArrayField(models.TextField(), default=list, blank=True)
    dependencies = ArrayField(models.TextField(), default=list, blank=True)
    is_standard = models.BooleanField(default=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="packs"
    )
    source_type = models.TextField(null=True, blank=True)
    source_url = models.TextField(null=True, blank=True)
    source_ref = models.TextField(null=True, blank=True)
    checksum = models.TextField(null=True, blank=True)
    storage_path = models.TextField(null=True, blank=True)

    class Meta(Row.Meta):
        db_table = "pack"
        constraints = [models.UniqueConstraint(fields=["ref"], name="pack_ref_key")]

    def __str__(self) -> str:
        return self.ref
