"""What a rule said of an event when that is worth a row: errors (and, if asked for, non-matches)."""

from django.db import models

from attune_project.rows import Row, one_of


class Outcome(models.TextChoices):
    MATCHED = "matched"  # an enforcement was made
    NOT_MATCHED = "not_matched"  # a clause was false
    ERROR = "error"  # a clause or template could not be worked out


class RuleEvaluation(Row):
    event = models.ForeignKey(
        "sensors.Event", models.CASCADE, db_constraint=False, db_index=False, related_name="evaluations"
    )
    rule = models.ForeignKey(
        "rules.Rule", models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+"
    )
    rule_ref = models.TextField()
    rule_version = models.IntegerField()
    outcome = models.TextField(choices=Outcome)
    reason = models.TextField(null=True)
    detail = models.JSONField(null=True)

    class Meta(Row.Meta):
        db_table = "rule_evaluation"
        constraints = [
            models.UniqueConstraint(fields=["event", "rule"], name="rule_evaluation_event_id_rule_id_key"),
            one_of("rule_evaluation_outcome_check", "outcome", Outcome),
        ]

    def __str__(self) -> str:
        return f"{self.rule_ref}: {self.outcome}"
