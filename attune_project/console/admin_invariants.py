"""A page of the admin that looks for broken promises when it is asked to. It changes nothing."""

from collections.abc import Sequence
from typing import Any

from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from attune_project.console.invariants import INVARIANTS, Invariant, Violation, check

NAME = "console_invariants"
EACH_SECONDS = 10.0
ALL_SECONDS = 45.0
UNDER_WAY_SECONDS = 30.0
MOST_SHOWN = 10


def invariants_page(page: "ModelAdmin[Any]", request: HttpRequest) -> TemplateResponse:
    """Show every invariant; after a post also what breaks it: all of them, or the `only` one."""
    if not page.has_view_permission(request):
        raise PermissionDenied
    found: dict[str, Violation] = {}
    if request.method == "POST":
        only = request.POST.get("only", "")
        wanted = [one for one in INVARIANTS if only in ("", one.name)]
        looked = check(wanted, UNDER_WAY_SECONDS, timeout=EACH_SECONDS, budget=ALL_SECONDS)
        found = {one.invariant.name: one for one in looked}
    context = {
        **page.admin_site.each_context(request),
        "opts": page.opts,
        "title": "Invariants",
        "looked": bool(found),
        "lines": [line(one, found.get(one.name)) for one in ordered(found)],
    }
    return TemplateResponse(request, "admin/invariants.html", context)


def ordered(found: dict[str, Violation]) -> Sequence[Invariant]:
    """Return every invariant, those first that are broken, then those that could not be looked at."""

    def place(one: Invariant) -> int:
        told = found.get(one.name)
        return 2 if told is None or not (told.count or told.error) else 0 if told.count else 1

    return sorted(INVARIANTS, key=place)


def line(one: Invariant, told: Violation | None) -> dict[str, Any]:
    rows = told.rows[:MOST_SHOWN] if told else []
    return {
        "invariant": one,
        "told": told,
        "samples": [sample(one, row) for row in rows],
        "more": told.count - len(rows) if told else 0,
    }


def sample(one: Invariant, row: dict[str, Any]) -> SafeString:
    """Show a row, with a link to the page of what its `id` names."""
    text = "  ".join(f"{name}={value}" for name, value in row.items() if name != "id" or one.of is None)
    if one.of is None:
        return format_html("{}", text)
    try:
        address = reverse(f"admin:{one.of}_change", args=[row["id"]])
    except NoReverseMatch:
        return format_html("{} {}", row["id"], text)
    return format_html('<a class="text-primary-600" href="{}">{}</a> {}', address, row["id"], text)
