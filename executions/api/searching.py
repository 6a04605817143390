"""`result_contains`: which executions came to what. No index has results: each write would pay for it.

So only the newest MOST of what the other filters leave are looked through, and for no longer than SECONDS.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import django_filters
from django import forms
from django.db import OperationalError, connection, transaction
from django.db.models import JSONField, QuerySet, TextField, Value
from django.db.models.functions import Cast
from drf_spectacular.utils import extend_schema_field
from psycopg.errors import QueryCanceled
from rest_framework.generics import GenericAPIView

from attune_project.language.documents import DocumentError, parse_json
from attune_project.rest.errors import BadRequest

PARAMETER = "result_contains"
MOST = 10_000  # executions
SECONDS = 5.0


class ResultField(forms.CharField):
    def clean(self, value: Any) -> dict[str, Any] | str | None:
        """Return an object for JSON that is one, else the text."""
        text = super().clean(value)
        if not text or not text.startswith("{"):
            return text or None
        try:
            document: dict[str, Any] = parse_json(text.encode())
        except (DocumentError, UnicodeEncodeError) as error:
            raise forms.ValidationError(f'expected JSON, such as {{"exit_code": 0}}: {error}') from None
        return document


@extend_schema_field(
    {
        "type": "string",
        "description": "A JSON object that the result contains, or a text that stands in it. The newest"
        f" {MOST} executions that the other filters leave are looked through.",
    }
)
class ResultContains(django_filters.Filter):  # type: ignore[misc]
    field_class = ResultField

    def filter(self, qs: QuerySet[Any], value: dict[str, Any] | str | None) -> QuerySet[Any]:
        """Return those whose result contains an object, or has a text within a value or key."""
        if value is None:
            return qs
        if isinstance(value, dict):
            return qs.filter(result__contains=Value(value, JSONField()))
        written = json.dumps(value, ensure_ascii=False)[1:-1]  # as it stands within a text of the result
        rows: QuerySet[Any] = qs.alias(result_text=Cast("result", TextField()))
        return rows.filter(result_text__contains=written)


def newest(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Return the rows that are looked through."""
    edges: Any = rows.order_by("-created", "-id").values_list("created", flat=True)
    edge: datetime | None = edges[MOST - 1 : MOST].first()
    return rows if edge is None else rows.filter(created__gte=edge)


class Searched(GenericAPIView):
    """A list with `result_contains`: one that takes too long is refused, with a word on what would help."""

    def paginate_queryset(self, queryset: QuerySet[Any] | Sequence[Any]) -> Any:
        if PARAMETER not in self.request.query_params:
            return super().paginate_queryset(queryset)
        with bounded():
            return super().paginate_queryset(queryset)


@contextmanager
def bounded() -> Iterator[None]:
    """Let each statement within take so many seconds; 400 for one that takes longer."""
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{SECONDS:g}s"])
            yield
    except OperationalError as problem:
        if not isinstance(problem.__cause__, QueryCanceled):
            raise
        raise BadRequest(
            f"{PARAMETER}: looking took longer than {SECONDS:g} s; narrow it by action_ref, status or"
            " created_after"
        ) from None
