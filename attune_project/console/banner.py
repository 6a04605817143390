"""What stands on every page of the admin when the product isn't well."""

from typing import Any

from django.http import HttpRequest

from attune_project.console.alerting import red_checks
from attune_project.identity.models import Identity

MOST = 5


def admin_context(request: HttpRequest) -> dict[str, Any]:
    """Return the red checks, oldest first; nothing to those who haven't come in."""
    if not isinstance(request.user, Identity) or not request.user.is_staff:
        return {}
    red = red_checks()
    return {"red_checks": red[:MOST], "red_checks_more": max(0, len(red) - MOST)}
