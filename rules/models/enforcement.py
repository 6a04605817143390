"""An enforcement: a rule matched an event, so an execution is owed."""

from django.db import models
from django.db.models import Value

from attune_project.rows import Row, one_of


class EnforcementStatus(models.TextChoices):
    CREATED = "created"  # owes an execution
    PROCESSED = "processed"  # has its execution
    DISABLED = "disabled"  # rule, trigger or action was gone or off by then


class EnforcementCondition(models.TextChoices):
    ANY = "any"  # one clause was enough
    ALL = "all"  # every clause held


class Enforcement(Row):
    rule = models.ForeignKey(
        "rules.Rule", models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+"
    )
    rule_ref = models.TextField()
    trigger_ref = models.TextField()
    event = models.ForeignKey(
        "sensors.Event",
        models.DO_NOTHING,
        null=True,
        db_constraint=False,
        db_index=False,
        related_name="enforcements",
    )
    status = models.TextField(choices=EnforcementStatus, db_default=EnforcementStatus.CREATED)
    condition = models.TextField(choices=EnforcementCondition, db_default=EnforcementCondition.ALL)
    conditions = models.JSONField(db_default=Value({}, models.JSONField()))
    config = models.JSONField(db_default=Value({}, models.JSONField()))
    payload = models.JSONField(null=True)
    rule_version = models.IntegerField()
    execution = models.OneToOneField(
        "executions.Execution",
        models.DO_NOTHING,
        null=True,
        db_constraint=False,
        related_name="enforcement",
    )
    trace_id = models.UUIDField()
    resolved_at = models.DateTimeField(null=True)

    class Meta(Row.Meta):
        db_table = "enforcement"
        constraints = [
            # in this order the index also finds the enforcements of an event
            models.UniqueConstraint(fields=["event", "rule"], name="enforcement_event_id_rule_id_key"),
            one_of("enforcement_status_check", "status", EnforcementStatus),
            one_of("enforcement_condition_check", "condition", EnforcementCondition),
        ]
        indexes = [
            # claim and poll of enforcing: WHERE status = 'created' ORDER BY id
            models.Index(fields=["id"], condition=models.Q(status="created"), name="enforcement_owed_idx"),
            # lists, newest first; that by a rule's id counts by the index of its ref
            models.Index(fields=["-created", "-id"], name="enforcement_created_idx"),
            models.Index(
                fields=["rule_ref", "-created", "-id"], include=["rule"], name="enforcement_rule_ref_idx"
            ),
            models.Index(fields=["trigger_ref", "-created", "-id"], name="enforcement_trigger_ref_idx"),
            models.Index(
                fields=["-created", "-id"],
                condition=models.Q(status="disabled"),
                name="enforcement_disabled_idx",
            ),
        ]

    def __str__(self) -> str:
        return f"enforcement {self.pk} of {self.rule_ref}"
