"""Filters of lists. A value that is repeated or has commas means "any of"; what isn't known is refused."""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

import django_filters
from django import forms
from django.db.models import Q, QuerySet
from django.forms.utils import ErrorList
from django.http import QueryDict
from django.utils.dateparse import parse_datetime
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework.request import Request

from .errors import BadRequest, UnknownFilter
from .query import LARGEST, PAGING

if TYPE_CHECKING:  # views load this module by the names in settings, before they are complete
    from rest_framework.views import APIView

MANY = {"type": "string", "description": "One value, several with commas, or repeated: any of them."}


class Many(forms.Widget):
    """Read every value of a parameter, repeated or with commas."""

    def value_from_datadict(self, data: QueryDict, files: Any, name: str) -> list[str]:  # type: ignore[override]
        texts = data.getlist(name) if hasattr(data, "getlist") else [data.get(name, "")]
        return [word.strip() for text in texts for word in str(text or "").split(",") if word.strip()]


class AnyOfField(forms.Field):
    widget = Many

    def __init__(self, *, kind: forms.Field, **options: Any) -> None:
        self.kind = kind
        super().__init__(**options)

    def clean(self, value: list[str]) -> list[Any]:
        return [self.kind.clean(word) for word in value]


class TimeField(forms.Field):
    """A moment in ISO 8601, told in UTC: PostgreSQL knows no offset of 16 hours or more."""

    def to_python(self, value: str | None) -> datetime | None:
        if not value:
            return None
        # A plus in a query string that nobody escaped arrives as a space.
        moment = _moment(value.strip().replace(" ", "+") if "T" in value else value.strip())
        if moment is None:
            raise forms.ValidationError("expected a time in ISO 8601, such as 2026-01-31T12:00:00Z")
        return moment


def _moment(text: str) -> datetime | None:
    """Read a moment; one without an offset is UTC."""
    try:
        moment = parse_datetime(text if len(text) > 10 else f"{text}T00:00:00")
        return moment and (moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return None


class FlagField(forms.Field):
    def to_python(self, value: str | None) -> bool | None:
        words = {"true": True, "1": True, "false": False, "0": False, "": None}
        word = (value or "").strip().lower()
        if word not in words:
            raise forms.ValidationError("expected true or false")
        return words[word]


class AnyOf(django_filters.Filter):  # type: ignore[misc]
    """Rows whose column has any of the values."""

    field_class = AnyOfField

    def __init__(
        self, field_name: str | None = None, *, kind: forms.Field | None = None, **extra: Any
    ) -> None:
        super().__init__(field_name=field_name, kind=kind or forms.CharField(), **extra)

    def filter(self, qs: QuerySet[Any], value: list[Any]) -> QuerySet[Any]:
        if not value:
            return qs
        lookup = {f"{self.field_name}__in": value} if len(value) > 1 else {str(self.field_name): value[0]}
        return qs.filter(**lookup)


@extend_schema_field(MANY)
class Texts(AnyOf):
    pass


@extend_schema_field(MANY)
class Ids(AnyOf):
    """Ids: whole numbers; use the column's name (`rule_id`), so that no join is made."""

    def __init__(self, field_name: str | None = None, **extra: Any) -> None:
        super().__init__(field_name, kind=forms.IntegerField(min_value=-LARGEST, max_value=LARGEST), **extra)


@extend_schema_field(MANY)
class IdsOfNamed(Ids):
    """Ids of rows that have a ref: it stands beside the id, and has the index (`rule_id`, `rule_ref`)."""

    def filter(self, qs: QuerySet[Any], value: list[Any]) -> QuerySet[Any]:
        rows = super().filter(qs, value)
        name = str(self.field_name).removesuffix("_id")
        named: Any = qs.model._meta.get_field(name).related_model
        refs = list(named._default_manager.filter(pk__in=value).values_list("ref", flat=True))
        if not refs or len(refs) < len(set(value)):
            return rows  # one is gone: only the id itself is left to look for
        return rows.filter(**({f"{name}_ref": refs[0]} if len(refs) == 1 else {f"{name}_ref__in": refs}))


@extend_schema_field(MANY)
class Choices(AnyOf):
    """Members of a closed vocabulary: `Choices("status", choices=Execution.Status.choices)`."""

    def __init__(
        self, field_name: str | None = None, *, choices: Iterable[tuple[str, str]], **extra: Any
    ) -> None:
        members = list(choices)
        kind = forms.ChoiceField(
            choices=members,
            error_messages={
                "invalid_choice": f"%(value)s isn't one of {', '.join(str(key) for key, _ in members)}"
            },
        )
        super().__init__(field_name, kind=kind, **extra)


@extend_schema_field(MANY)
class Overlaps(AnyOf):
    """Rows whose array (tags) has any of the values."""

    def filter(self, qs: QuerySet[Any], value: list[Any]) -> QuerySet[Any]:
        return qs.filter(**{f"{self.field_name}__overlap": value}) if value else qs


@extend_schema_field(OpenApiTypes.BOOL)
class Flag(django_filters.Filter):  # type: ignore[misc]
    field_class = FlagField


@extend_schema_field(OpenApiTypes.DATETIME)
class Moment(django_filters.Filter):  # type: ignore[misc]
    field_class = TimeField


@extend_schema_field(OpenApiTypes.STR)
class Search(django_filters.Filter):  # type: ignore[misc]
    """Rows with the text in any of the columns: `Search(columns=("ref", "label"))`."""

    field_class = forms.CharField

    def __init__(self, *, columns: tuple[str, ...], **extra: Any) -> None:
        self.columns = columns
        super().__init__(**extra)

    def filter(self, qs: QuerySet[Any], value: str) -> QuerySet[Any]:
        if not value:
            return qs
        return qs.filter(reduce(or_, (Q(**{f"{column}__icontains": value}) for column in self.columns)))


class RowFilters(django_filters.FilterSet):  # type: ignore[misc]
    """What every list filters by; a list's own filters are declared in a subclass."""

    created_after = Moment("created", lookup_expr="gt")
    created_before = Moment("created", lookup_expr="lt")


class Filters(DjangoFilterBackend):  # type: ignore[misc]
    """Apply `view.filterset_class`; refuse parameters that neither it nor paging knows."""

    filterset_base = RowFilters

    def get_filterset_class(self, view: "APIView", queryset: Any = None) -> type[django_filters.FilterSet]:
        return getattr(view, "filterset_class", None) or RowFilters

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: "APIView") -> QuerySet[Any]:
        filterset_class = self.get_filterset_class(view, queryset)
        refuse_unknown(
            request, set(filterset_class.base_filters) | set(getattr(view, "extra_parameters", ()))
        )
        filterset = filterset_class(request.query_params, queryset=queryset, request=request)
        if not filterset.is_valid():
            raise BadRequest(_first_error(filterset.errors))
        filtered: QuerySet[Any] = filterset.qs
        return filtered


def refuse_unknown(request: Request, known: set[str]) -> None:
    for name in request.query_params:
        if name not in known and name not in PAGING:
            names = ", ".join(sorted(known))
            raise UnknownFilter(f"Unknown filter {name[:80]!r}; this list knows {names}")


def _first_error(errors: dict[str, ErrorList]) -> str:
    name, texts = next(iter(errors.items()))
    return f"{name}: {texts[0]}"
