"""System check: no API view without a word about who may call it."""

from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage, Error, register
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.views import APIView

from attune_project.rest.access import GRANTED

from .grants import ACTIONS, RESOURCES
from .rbac import VIEW_ACTIONS


@register()
def views_declare_access(app_configs: Any, **options: Any) -> list[CheckMessage]:
    """Name every route of the API that nobody may call, because its view doesn't say who may."""
    return [
        Error(
            f"{route}: {problem}.",
            hint="Set `permission = OPEN` or AUTHENTICATED, or `resource` and `permission_map`.",
            obj=view,
            id="identity.E001",
        )
        for route, view, initial in api_views(get_resolver().url_patterns)
        for problem in problems_of(view, initial)
    ]


def api_views(patterns: list[Any], prefix: str = "") -> Iterator[tuple[str, type[APIView], dict[str, Any]]]:
    """Walk the routes; yield each DRF view with its address and what `as_view` was given."""
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from api_views(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern):
            view = getattr(pattern.callback, "cls", None)
            if isinstance(view, type) and issubclass(view, APIView):
                initial = dict(getattr(pattern.callback, "initkwargs", {}))
                yield route, view, {**initial, "actions": getattr(pattern.callback, "actions", None)}


def problems_of(view: type[APIView], initial: dict[str, Any]) -> list[str]:
    permission = initial.get("permission") or getattr(view, "permission", None)
    if permission is not None and permission is not GRANTED:
        return []
    resource = initial.get("resource") or getattr(view, "resource", "")
    if resource not in RESOURCES:
        return [f"the resource {resource!r} isn't one of RBAC's"]
    declared = {**VIEW_ACTIONS, **(initial.get("permission_map") or getattr(view, "permission_map", {}))}
    names = names_of(view, initial["actions"])
    return [f"{name} needs no right of RBAC" for name in names if declared.get(name) not in ACTIONS]


def names_of(view: type[APIView], actions: dict[str, str] | None) -> list[str]:
    if actions:
        return sorted(set(actions.values()))
    return [
        name for name in view.http_method_names if name not in ("options", "head") and hasattr(view, name)
    ]
