"""Filters of lists of executions."""

import json
from functools import reduce
from operator import or_
from typing import Any

import django_filters
from django import forms
from django.db.models import JSONField, Q, QuerySet, Value
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field

from attune_project.language.documents import DocumentError, parse_json
from attune_project.rest.filters import Choices, Flag, Ids, RowFilters, Texts
from executions.models import Execution, Status


class JsonField(forms.CharField):
    def clean(self, value: Any) -> str | None:
        """Return the JSON text, checked; a value of None would be no filter, and null is a value."""
        text = super().clean(value)
        if not text:
            return None
        try:
            return json.dumps(parse_json(text.encode()))
        except (DocumentError, UnicodeEncodeError) as error:
            raise forms.ValidationError(f'expected JSON, such as {{"exit_code": 0}}: {error}') from None


@extend_schema_field(OpenApiTypes.STR)
class Contains(django_filters.Filter):  # type: ignore[misc]
    """Rows whose JSON column contains the given JSON."""

    field_class = JsonField

    def filter(self, qs: QuerySet[Any], value: str | None) -> QuerySet[Any]:
        if not value:
            return qs
        wanted = Value(json.loads(value), JSONField())  # a bare None would be no value at all, and a fault
        return qs.filter(**{f"{self.field_name}__contains": wanted})


class OfPacks(Texts):
    """Rows whose ref belongs to any of the packs."""

    def filter(self, qs: QuerySet[Any], value: list[str]) -> QuerySet[Any]:
        if not value:
            return qs
        return qs.filter(reduce(or_, (Q(**{f"{self.field_name}__startswith": f"{ref}."}) for ref in value)))


class ExecutionFilters(RowFilters):
    status = Choices("status", choices=Status.choices)
    action_ref = Texts("action_ref")
    pack_name = OfPacks("action_ref")
    rule_ref = Texts("rule_ref")
    trigger_ref = Texts("trigger_ref")
    enforcement = Ids("enforcement__id")
    parent = Ids("parent_id")
    executor = Ids("executor_id")
    worker = Ids("worker_id")
    original_execution = Ids("original_execution_id")
    result_contains = Contains("result")
    top_level_only = Flag(method="only_top_level")

    class Meta:
        model = Execution
        fields: list[str] = []

    def only_top_level(self, rows: QuerySet[Execution], name: str, wanted: bool) -> QuerySet[Execution]:
        return rows.filter(parent__isnull=True) if wanted else rows
