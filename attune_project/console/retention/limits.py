"""How long what is kept: the environment's word, unless an operator has set it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection

from attune_project.console.models import RetentionConfig


@dataclass(frozen=True)
class Limits:
    """Days are whole ones of 24 h, by the database's clock."""

    enabled: bool
    runtime_days: int
    audit_days: int

    def days_of(self, kind: str) -> int:
        return self.audit_days if kind == AUDIT else self.runtime_days


RUNTIME = "runtime"
AUDIT = "audit"


def current() -> Limits:
    row = RetentionConfig.objects.filter(pk=1).first() or RetentionConfig()
    return Limits(
        settings.ATTUNE_RETENTION if row.enabled is None else row.enabled,
        row.runtime_days or settings.ATTUNE_RETENTION_DAYS,
        row.audit_days or settings.ATTUNE_RETENTION_AUDIT_DAYS,
    )


def ends(limits: Limits) -> dict[str, datetime]:
    """Return, by kind, the moment before which rows are old enough."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        now: datetime = cursor.fetchone()[0]
    return {kind: now - timedelta(days=limits.days_of(kind)) for kind in (RUNTIME, AUDIT)}
