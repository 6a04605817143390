"""Every state that a rule has been in, and the counter that orders all of them."""

from django.conf import settings
from django.db import models

from attune_project.rows import Row


class RulesetRevision(models.Model):
    """The one counter row: each change of a rule locks it, each claim of events reads it."""

    revision = models.BigIntegerField(default=0)

    class Meta:
        db_table = "ruleset_revision"

    def __str__(self) -> str:
        return str(self.revision)


class RuleVersion(Row):
    """Append-only."""

    rule = models.ForeignKey(
        "rules.Rule", models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+"
    )
    rule_ref = models.TextField()
    number = models.IntegerField()
    revision = models.BigIntegerField()
    definition = models.JSONField()
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta(Row.Meta):
        db_table = "rule_version"
        constraints = [
            models.UniqueConstraint(fields=["rule", "number"], name="rule_version_rule_id_number_key")
        ]
        indexes = [models.Index(fields=["revision"], name="rule_version_revision_idx")]

    def __str__(self) -> str:
        return f"{self.rule_ref} version {self.number}"
