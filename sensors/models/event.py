"""An event: something happened."""

from django.db import models

from attune_project.rows import Row, one_of


class EventStatus(models.TextChoices):
    NEW = "new"  # owes matching
    DECIDED = "decided"  # every candidate rule has had its say


class Event(Row):
    """History: what it points at may be deleted, so the refs stand beside unconstrained ids."""

    trigger = models.ForeignKey(
        "sensors.Trigger", models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+"
    )
    trigger_ref = models.TextField()
    config = models.JSONField(null=True)
    payload = models.JSONField(null=True)
    source = models.ForeignKey(
        "sensors.Sensor", models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+"
    )
    source_ref = models.TextField(null=True)
    rule = models.ForeignKey(
        "rules.Rule", models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+"
    )
    rule_ref = models.TextField(null=True)
    dedup_key = models.TextField(null=True)
    status = models.TextField(choices=EventStatus, db_default=EventStatus.NEW)
    decided_at = models.DateTimeField(null=True)
    ruleset_revision = models.BigIntegerField(null=True)
    trace_id = models.UUIDField()

    class Meta(Row.Meta):
        db_table = "event"
        constraints = [
            models.UniqueConstraint(
                fields=["trigger_ref", "dedup_key"],
                condition=models.Q(dedup_key__isnull=False),
                name="event_trigger_ref_dedup_key_key",
            ),
            one_of("event_status_check", "status", EventStatus),
        ]
        indexes = [
            # claim and poll of matching: WHERE status = 'new' ORDER BY id
            models.Index(fields=["id"], condition=models.Q(status="new"), name="event_new_idx"),
            # lists, newest first; those by an id count by the index of its ref
            models.Index(fields=["-created", "-id"], name="event_created_idx"),
            models.Index(
                fields=["trigger_ref", "-created", "-id"], include=["trigger"], name="event_trigger_ref_idx"
            ),
            models.Index(
                fields=["source_ref", "-created", "-id"],
                condition=models.Q(source_ref__isnull=False),
                name="event_source_ref_idx",
            ),
            models.Index(
                fields=["rule_ref", "-created", "-id"],
                include=["rule"],
                condition=models.Q(rule_ref__isnull=False),
                name="event_rule_ref_idx",
            ),
        ]

    def __str__(self) -> str:
        return f"event {self.pk} of {self.trigger_ref}"
