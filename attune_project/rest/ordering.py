"""`ordering=field,-field` over the fields that a view names; ties go newest first."""

from typing import TYPE_CHECKING, Any

from django.db.models import QuerySet
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request

from .errors import BadRequest

if TYPE_CHECKING:  # views load this module by the names in settings, before they are complete
    from rest_framework.views import APIView

NEWEST_FIRST = ("-created", "-id")


class Ordering(BaseFilterBackend):
    """Views declare `ordering_fields = ("ref", "created")` and may declare their own `ordering`.

    A field may stand for a column: `ordering_columns = {"trigger": "trigger_ref"}`.
    """

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: "APIView") -> QuerySet[Any]:
        asked = request.query_params.getlist("ordering")
        names = [name.strip() for text in asked for name in text.split(",") if name.strip()]
        if not names:
            return queryset.order_by(*getattr(view, "ordering", NEWEST_FIRST))
        return queryset.order_by(*(column(name, view) for name in names), "-id")

    def get_schema_operation_parameters(self, view: "APIView") -> list[dict[str, Any]]:
        description = f"Any of {', '.join(fields_of(view))}, each with or without a minus."
        schema = {"type": "string"}
        return [
            {
                "name": "ordering",
                "in": "query",
                "required": False,
                "description": description,
                "schema": schema,
            }
        ]


def fields_of(view: "APIView") -> tuple[str, ...]:
    return tuple(getattr(view, "ordering_fields", ("created", "id")))


def column(name: str, view: "APIView") -> str:
    field = name.removeprefix("-")
    if field not in fields_of(view):
        raise BadRequest(f"ordering: {field[:40]!r} isn't one of {', '.join(fields_of(view))}")
    columns: dict[str, str] = getattr(view, "ordering_columns", {})
    return ("-" if name.startswith("-") else "") + columns.get(field, field)
