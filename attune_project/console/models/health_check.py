"""The state of each check of the product's own health, so that an alert is raised once and cleared."""

from django.db import models

from attune_project.rows import Row, one_of


class CheckStatus(models.TextChoices):
    OK = "ok"  # as it should be
    RED = "red"  # something is wrong, and reason says what


class HealthCheck(Row):
    name = models.TextField()
    status = models.TextField(choices=CheckStatus, default=CheckStatus.OK)
    reason = models.TextField(null=True)
    since = models.DateTimeField()
    cause = models.TextField(null=True)  # what made it red; kept until no check of that cause is red

    class Meta(Row.Meta):
        db_table = "health_check"
        constraints = [
            models.UniqueConstraint(fields=["name"], name="health_check_name_key"),
            one_of("health_check_status_check", "status", CheckStatus),
        ]

    def __str__(self) -> str:
        return f"{self.name}: {self.status}"
