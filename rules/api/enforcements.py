"""Enforcements over HTTP."""

from typing import Any

from django.db.models import QuerySet

from attune_project.identity.rbac import visible, visible_or_404
from attune_project.rest.filters import Choices, Filters, Ids, IdsOfNamed, RowFilters, Texts
from attune_project.rest.ordering import Ordering
from attune_project.rest.views import Listed, RowViewSet, Shown, row_id
from executions.api.executions import ExecutionViews
from executions.api.filters import ExecutionFilters
from executions.api.shapes import JOINED, ExecutionItem
from executions.models import Execution
from rules.api.shapes import ENFORCEMENT_ITEM, EnforcementDetail, EnforcementItem
from rules.models import Enforcement, EnforcementStatus


class EnforcementFilters(RowFilters):
    rule = IdsOfNamed("rule_id")
    rule_ref = Texts("rule_ref")
    event = Ids("event_id")
    status = Choices("status", choices=EnforcementStatus.choices)
    trigger_ref = Texts("trigger_ref")

    class Meta:
        model = Enforcement
        fields: list[str] = []


class EnforcementViews(Listed, Shown, RowViewSet):
    queryset = Enforcement.objects.all()
    resource = "enforcements"
    lookup_value_regex = "[0-9]+"
    serializer_class = EnforcementDetail
    list_serializer_class = EnforcementItem
    filterset_class = EnforcementFilters
    ordering_fields = ("created", "id", "updated", "status", "rule_ref", "trigger_ref")

    def get_queryset(self) -> QuerySet[Enforcement]:
        rows: QuerySet[Enforcement] = super().get_queryset()
        if self.action == "list":
            return rows.only(*ENFORCEMENT_ITEM)
        return rows.select_related("event")


class ExecutionsOfEnforcement(Listed, RowViewSet):
    """`GET /enforcements/{id}/executions`: who may read the enforcement opens it, and sees what they may."""

    queryset = Execution.objects.none()
    resource = "enforcements"
    serializer_class = ExecutionItem
    filterset_class = ExecutionFilters
    filter_backends = (Filters, Ordering)
    ordering_fields = ExecutionViews.ordering_fields

    def get_queryset(self) -> QuerySet[Any]:
        if "pk" not in self.kwargs:  # the OpenAPI document is being made
            return Execution.objects.none()
        parents = Enforcement.objects.only("id")
        parent = visible_or_404(self.request.user, self.resource, parents, pk=row_id(self.kwargs["pk"]))
        rows = Execution.objects.select_related(*JOINED).filter(enforcement__id=parent.pk)
        return visible(self.request.user, "executions", rows)
