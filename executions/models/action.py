"""An action: what can be done."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from attune_project.rows import Row


class Delivery(models.TextChoices):
    STDIN = "stdin"  # one document on standard input
    FILE = "file"  # a 0400 file named by ATTUNE_PARAMETER_FILE


class ParameterFormat(models.TextChoices):
    JSON = "json"  # one compact line
    DOTENV = "dotenv"  # key='value', sorted
    YAML = "yaml"  # one document


class OutputFormat(models.TextChoices):
    TEXT = "text"  # stdout as it is
    JSON = "json"  # the whole of stdout, else its last line
    YAML = "yaml"  # the whole of stdout
    JSONL = "jsonl"  # a list, a line each


class Action(Row):
    ref = models.TextField()
    pack = models.ForeignKey("packs.Pack", models.CASCADE, related_name="actions")
    pack_ref = models.TextField()
    label = models.TextField()
    description = models.TextField(null=True, blank=True)
    entrypoint = models.TextField()
    runtime = models.ForeignKey(
        "packs.Runtime", models.SET_NULL, null=True, blank=True, related_name="actions"
    )
    runtime_ref = models.TextField(null=True, blank=True)
    param_schema = models.JSONField(null=True, blank=True)
    out_schema = models.JSONField(null=True, blank=True)
    parameter_delivery = models.TextField(choices=Delivery, default=Delivery.STDIN)
    parameter_format = models.TextField(choices=ParameterFormat, default=ParameterFormat.JSON)
    output_format = models.TextField(choices=OutputFormat, default=OutputFormat.TEXT)
    timeout_seconds = models.IntegerField(null=True, blank=True)
    max_retries = models.IntegerField(default=0)
    idempotent = models.BooleanField(default=False)
    lost_worker_retries = models.IntegerField(default=3)
    retry_on = models.JSONField(null=True, blank=True)  # {statuses, exit_codes, expression}; null: all
    limits = models.JSONField(default=dict, blank=True)  # {memory_mb, cpu_seconds, files, processes, ...}
    env_allow = ArrayField(models.TextField(), default=list, blank=True)
    worker_pool = models.TextField(null=True, blank=True)
    worker_selector = models.JSONField(default=dict, blank=True)
    worker_tolerations = models.JSONField(default=list, blank=True)
    worker_affinity = models.JSONField(default=dict, blank=True)
    required_worker_runtimes = models.JSONField(default=dict, blank=True)
    default_execution_permission_set_refs = ArrayField(models.TextField(), default=list, blank=True)
    accesses_mcp = models.BooleanField(default=False)
    is_adhoc = models.BooleanField(default=False)

    class Meta(Row.Meta):
        db_table = "action"
        constraints = [models.UniqueConstraint(fields=["ref"], name="action_ref_key")]

    def __str__(self) -> str:
        return self.ref
