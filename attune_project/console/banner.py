"""What stands on every page of the admin when the product isn't well."""

from typing import Any

from django.http import HttpRequest

from attune_project.console.alerting import red_checks
from attune_project.console.models import HealthCheck
from attune_project.identity.models import Identity

MOST = 5


def admin_context(request: HttpRequest) -> dict[str, Any]:
    """Return a red check of each cause, oldest first, and how many more it has; nothing to those outside."""
    if not isinstance(request.user, Identity) or not request.user.is_staff:
        return {}
    by_cause: dict[str, list[HealthCheck]] = {}
    for check in red_checks():
        by_cause.setdefault(check.cause or check.name, []).append(check)
    shown = [
        {"name": first.name, "reason": first.reason, "more": len(others)}
        for first, *others in by_cause.values()
    ]
    return {"red_checks": shown[:MOST], "red_checks_more": max(0, len(shown) - MOST)}
