"""Pages of lists: `{"data": [...], "pagination": {...}}`."""

import json
from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from django.http import QueryDict
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from .query import LARGEST, flag, whole_number

DEFAULT_SIZE = 50
MAX_SIZE = 1000
EXACT_TOTAL = 10_000  # beyond it a count would read the whole table: the planner's estimate does
DEEP = 1000  # rows; past them the ids are read first, from an index, and then the rows of the page alone
NEGATIVE = -LARGEST


class EnvelopePagination(BasePagination):
    """Counts at most 10,001 rows and reads one row more than the page, to know whether there is a next."""

    def paginate_queryset(
        self, queryset: QuerySet[Any] | Sequence[Any], request: Request, view: Any = None
    ) -> list[Any]:
        parameters = request.query_params
        self.size = page_size(parameters)
        start = first_row(parameters, self.size)
        self.page = start // self.size + 1
        self.total, self.is_estimate = None, False
        if flag(parameters, "include_total", True):
            self.total, self.is_estimate = total_of(queryset)
        rows = rows_between(queryset, start, self.size + 1, None if self.is_estimate else self.total)
        self.has_next = len(rows) > self.size
        if self.is_estimate and self.total is not None:
            self.total = max(self.total, start + len(rows))
        return rows[: self.size]

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"data": data, "pagination": self.summary()})

    def summary(self) -> dict[str, Any]:
        pages = None if self.total is None else -(-self.total // self.size)
        summary = {
            "page": self.page,
            "page_size": self.size,
            "total_items": self.total,
            "total_pages": pages,
            "has_next": self.has_next,
            "has_previous": self.page > 1,
        }
        return {**summary, "total_is_estimate": True} if self.is_estimate else summary

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        count = {"type": "integer", "nullable": True}
        summary = {
            "page": {"type": "integer"},
            "page_size": {"type": "integer"},
            "total_items": count,
            "total_pages": count,
            "has_next": {"type": "boolean"},
            "has_previous": {"type": "boolean"},
            "total_is_estimate": {"type": "boolean"},
        }
        required = [name for name in summary if name != "total_is_estimate"]
        pagination = {"type": "object", "properties": summary, "required": required}
        return {
            "type": "object",
            "properties": {"data": schema, "pagination": pagination},
            "required": ["data", "pagination"],
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        return [
            _parameter(
                "page", "integer", "From 1; one past the end is empty. To go far back, use created_before."
            ),
            _parameter("per_page", "integer", "1 to 1000, 50 by default; page_size and limit are aliases."),
            _parameter("offset", "integer", "Instead of page."),
            _parameter("include_total", "boolean", "false leaves the totals null."),
        ]


def _parameter(name: str, kind: str, description: str) -> dict[str, Any]:
    schema = {"type": kind}
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


def page_size(parameters: QueryDict) -> int:
    for name in ("per_page", "page_size", "limit"):
        size = whole_number(parameters, name, minimum=NEGATIVE)
        if size is not None:
            return min(max(size, 1), MAX_SIZE)
    return DEFAULT_SIZE


def first_row(parameters: QueryDict, size: int) -> int:
    page = whole_number(parameters, "page", minimum=1)
    offset = whole_number(parameters, "offset", minimum=0)
    if page is None and offset is not None:
        return offset
    return ((page or 1) - 1) * size


def total_of(rows: QuerySet[Any] | Sequence[Any]) -> tuple[int, bool]:
    """Return how many rows there are, and whether that is an estimate."""
    if not isinstance(rows, QuerySet):
        return len(rows), False
    counted = rows.order_by().values("pk")[: EXACT_TOTAL + 1].count()
    if counted <= EXACT_TOTAL:
        return counted, False
    return max(planned_rows(rows.order_by()), counted), True


def planned_rows(queryset: QuerySet[Any]) -> int:
    return int(planned(queryset)["Plan Rows"])


def planned(queryset: QuerySet[Any]) -> dict[str, Any]:
    """Return the top of the planner's plan, with its `Plan Rows` and `Total Cost`."""
    plan: dict[str, Any] = json.loads(queryset.explain(format="json"))[0]["Plan"]
    return plan


def rows_between(rows: QuerySet[Any] | Sequence[Any], start: int, count: int, total: int | None) -> list[Any]:
    """Read a slice; none past the known end or past what a 64-bit offset can say."""
    if start + count > LARGEST or (total is not None and start >= total):
        return []
    if not isinstance(rows, QuerySet) or start < DEEP:
        return list(rows[start : start + count])
    ids = list(rows.values_list("pk", flat=True)[start : start + count])
    found = {row.pk: row for row in rows.filter(pk__in=ids).order_by()}
    return [found[pk] for pk in ids if pk in found]
