"""Admin pages of tables that only grow: nothing there may read the whole of one.

Lists leave the JSON columns out, are found by id or by a whole ref, and are drilled down by date with two
looks at the index on `created`; a page that counted or sorted millions of rows would stop the others.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.options import ShowFacets
from django.db.models import JSONField, Max, Min, Model, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from attune_project.rest.query import LARGEST

from .admin_access import RbacModelAdmin, pretty_json, row_link
from .rbac import visible

LONGEST_SHOWN = 100_000
# By the length of its name: how a year, month, day or hour is read, and how what is below it is written.
LEVELS = {
    4: ("%Y", "%Y-%m"),
    7: ("%Y-%m", "%Y-%m-%d"),
    10: ("%Y-%m-%d", "%Y-%m-%dT%H"),
    13: ("%Y-%m-%dT%H", ""),
}
MOST_STEPS = 62


def pretty(name: str) -> Callable[[Any, Any], SafeString]:
    """Return the display of a JSON column: indented, escaped and not endless."""

    @admin.display(description=name.replace("_", " "))
    def show(self: Any, row: Any) -> SafeString:
        return json_block(getattr(row, name))

    return show


def link(name: str, text: str | None = None) -> Callable[[Any, Any], SafeString | str]:
    """Return the display of a foreign key: a link by its id alone, called by its ref where a row has one."""

    @admin.display(description=name.replace("_", " "))
    def show(self: Any, row: Any) -> SafeString | str:
        field = row._meta.get_field(name)
        pk, ref = getattr(row, field.attname), getattr(row, text or f"{name}_ref", None)
        return ref or "-" if pk is None else row_link(field.related_model, pk, ref)

    return show


def json_block(value: Any) -> SafeString:
    text = str(value)
    if len(text) <= LONGEST_SHOWN:
        return pretty_json(value)
    return pretty_json({"shown": f"{LONGEST_SHOWN} of {len(text)} characters", "begin": text[:LONGEST_SHOWN]})


class Created(admin.SimpleListFilter):
    """Drill down by date: year, month, day, hour. The choices come from the oldest and the newest row."""

    title = "created"
    parameter_name = "on"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        chosen = span_of(self.value())
        above = [(text, text.replace("T", " ")) for text in _above(self.value() or "")] if chosen else []
        return [*above, *((text, text.replace("T", " ")) for text in self._below(model_admin, chosen))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = span_of(self.value())
        if chosen is None:
            return queryset
        return queryset.filter(created__gte=chosen[0], created__lt=chosen[1])

    def has_output(self) -> bool:
        return True

    def _below(self, model_admin: Any, chosen: "Span | None") -> list[str]:
        level = LEVELS[len(self.value() or "")][1] if chosen else "%Y"
        rows = model_admin.model._default_manager.order_by()
        ends = rows.aggregate(first=Min("created"), last=Max("created"))
        if not level or ends["first"] is None:
            return []
        first, last = (moment.astimezone(UTC) for moment in (ends["first"], ends["last"]))
        if chosen:
            first, last = max(first, chosen[0]), min(last, chosen[1] - timedelta(microseconds=1))
        return _named(first, last, level)


Span = tuple[datetime, datetime]


def span_of(text: str | None) -> Span | None:
    """Return the first moment of a year, month, day or hour, and the next one's; None for another text."""
    if text is None or len(text) not in LEVELS:
        return None
    try:
        first = datetime.strptime(text, LEVELS[len(text)][0]).replace(tzinfo=UTC)
        return first, _next(first, len(text))
    except (ValueError, OverflowError):
        return None


def _next(first: datetime, length: int) -> datetime:
    if length == 13:
        return first + timedelta(hours=1)
    if length == 10:
        return first + timedelta(days=1)
    if length == 7:
        return (first + timedelta(days=31)).replace(day=1)
    return first.replace(year=first.year + 1)


def _above(text: str) -> list[str]:
    return [text[:length] for length in LEVELS if length <= len(text)]


def _named(first: datetime, last: datetime, level: str) -> list[str]:
    """Return the names of all years (months, days, hours) from the first to the last."""
    names: list[str] = []
    moment = first
    while moment <= last and len(names) < MOST_STEPS:
        names.append(moment.strftime(level))
        _, moment = span_of(names[-1]) or (moment, last + timedelta(days=1))
    return names


class OfRef(admin.SimpleListFilter):
    """Choose one of the refs that a small table knows; the large one is asked by its index on the ref.

    A subclass names `parameter_name`, the column, and `model`, the table that knows the refs.
    """

    model: ClassVar[type[Model]]
    resource: ClassVar[str]
    most = 200

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        rows = visible(request.user, self.resource, self.model._default_manager.all())
        return [(ref, ref) for ref in rows.order_by("ref").values_list("ref", flat=True)[: self.most]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return queryset.filter(**{self.parameter_name or "": value}) if value else queryset


class HistoryAdmin(RbacModelAdmin):
    """Base of pages of history: read-only, newest first."""

    read_only = True
    show_facets = ShowFacets.NEVER
    sortable_by = ()
    search_help_text = "An id, or a whole ref"
    search_fields = ("id",)  # shows the box; what is looked for is said below
    search_ref: ClassVar[str] = ""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        return rows.defer(*self._large()) if is_list(request) else rows

    def _large(self) -> list[str]:
        return [field.name for field in self.model._meta.fields if isinstance(field, JSONField)]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if term.isascii() and term.isdigit():
            return queryset.filter(pk=min(int(term[:30]), LARGEST)), False
        if not self.search_ref or "\x00" in term:
            return queryset.none(), False
        return queryset.filter(**{self.search_ref: term}), False


def is_list(request: HttpRequest) -> bool:
    match = request.resolver_match
    return match is not None and str(match.url_name).endswith("_changelist")
