"""Actions over HTTP."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from attune_project.identity.rbac import require, visible
from attune_project.identity.references import VisibleRef, require_lendable
from attune_project.packs.bodies import Names, PackItemBody, SchemaOf
from attune_project.packs.contents import STANDARD_FIRST, OfPack, locked_or_404
from attune_project.packs.models import Runtime
from attune_project.rest.filters import Flag, RowFilters, Search, Texts
from attune_project.rest.serializers import Document, Map, RowSerializer
from attune_project.rest.views import Catalogue, Listed, RowViewSet
from executions.api.fields import Labels, Limits, PoolName, Requirements, RetryOn
from executions.models import Action
from executions.runners import ALIASES

LISTED = (
    "id", "created", "updated", "ref", "pack", "pack_ref", "label", "description", "entrypoint", "runtime",
    "runtime_ref", "parameter_delivery", "parameter_format", "output_format", "timeout_seconds",
    "max_retries", "retry_on", "limits", "idempotent", "lost_worker_retries", "env_allow", "worker_pool",
    "worker_selector", "worker_tolerations", "worker_affinity", "required_worker_runtimes",
    "default_execution_permission_set_refs", "accesses_mcp", "is_adhoc",
)  # fmt: skip


class ActionItem(RowSerializer):
    workflow_def = serializers.SerializerMethodField()

    class Meta:
        model = Action
        fields: tuple[str, ...] = (*LISTED, "workflow_def")

    @extend_schema_field({"type": "integer", "nullable": True})
    def get_workflow_def(self, action: Action) -> None:
        return None  # workflows aren't built yet


class ActionDetail(ActionItem):
    class Meta(ActionItem.Meta):
        fields = (*ActionItem.Meta.fields, "param_schema", "out_schema")


class RuntimeId(serializers.PrimaryKeyRelatedField):
    """A runtime by its id, which is another way to say its ref."""

    def get_queryset(self) -> QuerySet[Runtime]:
        return visible(self.context["request"].user, "runtimes", Runtime.objects.all())


class ActionBody(PackItemBody):
    """An action to be made or changed. Its entrypoint is any text; no file need be there."""

    runtime = RuntimeId(queryset=Runtime.objects.all(), required=False, allow_null=True)
    runtime_ref = VisibleRef(Runtime, resource="runtimes", source="runtime", required=False, allow_null=True)
    param_schema = SchemaOf()
    out_schema = SchemaOf()
    limits = Limits(required=False)
    retry_on = RetryOn(required=False, allow_null=True)
    env_allow = Names()
    default_execution_permission_set_refs = Names()
    worker_pool = PoolName(required=False, allow_null=True)
    worker_selector = Labels(required=False)
    worker_tolerations = serializers.ListField(child=Document(), required=False)
    worker_affinity = Map(required=False)
    required_worker_runtimes = Requirements(required=False)

    class Meta:
        model = Action
        fields = (
            "ref", "pack_ref", "label", "description", "entrypoint", "runtime", "runtime_ref",
            "param_schema", "out_schema", "parameter_delivery", "parameter_format", "output_format",
            "timeout_seconds", "max_retries", "retry_on", "limits", "idempotent", "lost_worker_retries",
            "env_allow",
            "worker_pool", "worker_selector", "worker_tolerations", "worker_affinity",
            "required_worker_runtimes", "default_execution_permission_set_refs", "accesses_mcp",
        )  # fmt: skip
        extra_kwargs = {
            "timeout_seconds": {"min_value": 1},
            "max_retries": {"min_value": 0},
            "lost_worker_retries": {"min_value": 0},
            "entrypoint": {"trim_whitespace": False},
        }

    def to_internal_value(self, data: Any) -> Any:
        """Take the runtime by its id, its ref or an alias of that; the ref wins."""
        if isinstance(data, Mapping) and isinstance(data.get("runtime_ref"), str):
            data = {**data, "runtime_ref": ALIASES.get(data["runtime_ref"], data["runtime_ref"])}
        if isinstance(data, Mapping) and "runtime" in data and "runtime_ref" in data:
            dropped = "runtime_ref" if data["runtime_ref"] is None else "runtime"
            data = {name: value for name, value in data.items() if name != dropped}
        return super().to_internal_value(data)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        if "runtime" in attrs:
            attrs["runtime_ref"] = attrs["runtime"].ref if attrs["runtime"] else None
        return attrs


class ActionFilters(RowFilters):
    pack_ref = Texts("pack_ref")
    runtime_ref = Texts("runtime_ref")
    is_workflow = Flag(method="only_workflows")
    search = Search(columns=("ref", "label", "description"))
    executable_with_current_access = Flag(method="only_executable")

    class Meta:
        model = Action
        fields: list[str] = []

    def only_workflows(self, rows: QuerySet[Action], name: str, wanted: bool) -> QuerySet[Action]:
        return rows.none() if wanted else rows  # workflows aren't built yet

    def only_executable(self, rows: QuerySet[Action], name: str, wanted: bool) -> QuerySet[Action]:
        executable = visible(self.request.user, "actions", Action.objects.order_by(), "execute")
        return rows.filter(pk__in=executable) if wanted else rows.exclude(pk__in=executable)


class ActionLists(RowViewSet):
    """What every list of actions shares."""

    queryset = Action.objects.all()
    resource = "actions"
    lookup_field = "ref"
    serializer_class = ActionDetail
    list_serializer_class = ActionItem
    filterset_class = ActionFilters
    ordering = STANDARD_FIRST
    ordering_fields = ("created", "id", "updated", "ref", "label", "pack_ref", "runtime_ref")

    def get_queryset(self) -> QuerySet[Action]:
        rows: QuerySet[Action] = super().get_queryset()
        return rows.only(*LISTED) if self.action == "list" else rows.select_related("pack")


class ActionViews(Catalogue, ActionLists):
    write_serializer_class = ActionBody

    def make(self, serializer: Any) -> Action:
        values = serializer.validated_data
        action = Action(is_adhoc=True, pack_ref=values["pack"].ref, **values)
        require(self.request.user, "actions", "create", action)
        self._refuse_escalation(values)
        action.save(force_insert=True)
        return action

    def change(self, row: Action, serializer: Any) -> Action:
        values = serializer.validated_data
        self._refuse_escalation(values)
        action = locked_or_404(row)
        for name, value in values.items():
            setattr(action, name, value)
        action.save()
        return action

    def remove(self, row: Action) -> None:
        locked_or_404(row).delete()

    def _refuse_escalation(self, values: dict[str, Any]) -> None:
        field = "default_execution_permission_set_refs"
        require_lendable(self.request.user, values.get(field) or (), field)


class ActionsOfPack(OfPack, Listed, ActionLists):
    """`GET /packs/{ref}/actions`"""
