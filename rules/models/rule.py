"""A rule: when this happens and that holds, do the other."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from attune_project.rows import Row, one_of


class RuleType(models.TextChoices):
    STANDARD = "standard"  # is tried for every event of its trigger
    BACKSTOP = "backstop"  # is tried when no standard rule matched


class Rule(Row):
    ref = models.TextField()
    pack = models.ForeignKey("packs.Pack", models.CASCADE, related_name="rules")
    pack_ref = models.TextField()
    label = models.TextField()
    description = models.TextField(null=True, blank=True)
    trigger = models.ForeignKey(
        "sensors.Trigger", models.SET_NULL, null=True, blank=True, related_name="rules"
    )
    trigger_ref = models.TextField()
    action = models.ForeignKey(
        "executions.Action", models.SET_NULL, null=True, blank=True, related_name="rules"
    )
    action_ref = models.TextField()
    conditions = models.JSONField(default=dict, blank=True)
    action_params = models.JSONField(default=dict, blank=True)
    trigger_params = models.JSONField(default=dict, blank=True)
    permission_set_refs = ArrayField(models.TextField(), null=True, blank=True)
    enabled = models.BooleanField(default=True)
    is_adhoc = models.BooleanField(default=False)
    type = models.TextField(choices=RuleType, default=RuleType.STANDARD)
    owner_identity = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="rules"
    )
    last_error = models.TextField(null=True, blank=True)
    last_error_at = models.DateTimeField(null=True, blank=True)

    class Meta(Row.Meta):
        db_table = "rule"
        constraints = [
            models.UniqueConstraint(fields=["ref"], name="rule_ref_key"),
            one_of("rule_type_check", "type", RuleType),
        ]

    def __str__(self) -> str:
        return self.ref
