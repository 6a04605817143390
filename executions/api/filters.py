"""Filters of lists of executions."""

from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Q, QuerySet

from attune_project.rest.filters import Choices, Flag, Ids, RowFilters, Texts
from executions.api.searching import PARAMETER, ResultContains, newest
from executions.models import Execution, Status


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
    top_level_only = Flag(method="only_top_level")
    result_contains = ResultContains()

    class Meta:
        model = Execution
        fields: list[str] = []

    def filter_queryset(self, queryset: QuerySet[Execution]) -> QuerySet[Execution]:
        """Look into results last, of what the other filters leave."""
        wanted = self.form.cleaned_data.pop(PARAMETER)
        rows: QuerySet[Execution] = super().filter_queryset(queryset)
        return rows if wanted is None else self.filters[PARAMETER].filter(newest(rows), wanted)

    def only_top_level(self, rows: QuerySet[Execution], name: str, wanted: bool) -> QuerySet[Execution]:
        return rows.filter(parent__isnull=True) if wanted else rows
