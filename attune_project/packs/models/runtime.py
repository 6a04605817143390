"""A runtime: what kind of thing an action's entrypoint is."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from attune_project.rows import Row


class Runtime(Row):
    ref = models.TextField()
    pack = models.ForeignKey("packs.Pack", models.CASCADE, null=True, blank=True, related_name="runtimes")
    pack_ref = models.TextField(null=True, blank=True)
    name = models.TextField()
    aliases = ArrayField(models.TextField(), default=list, blank=True)
    description = models.TextField(null=True, blank=True)
    distributions = models.JSONField(default=dict, blank=True)
    execution_config = models.JSONField(default=dict, blank=True)

    class Meta(Row.Meta):
        db_table = "runtime"
        constraints = [models.UniqueConstraint(fields=["ref"], name="runtime_ref_key")]

    def __str__(self) -> str:
        return self.ref
