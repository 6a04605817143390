"""Policies over HTTP, and how an action's queue stands."""

import uuid
from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from attune_project.identity.rbac import require, visible, visible_or_404
from attune_project.identity.references import VisibleRef
from attune_project.packs import keys
from attune_project.packs.bodies import Names
from attune_project.packs.models import Pack
from attune_project.rest.filters import Choices, Flag, RowFilters, Search, Texts
from attune_project.rest.serializers import RowSerializer, Text
from attune_project.rest.views import Catalogue, View, answer
from executions.models import Action, Method, Policy
from executions.policies.changes import delete_policy, locked_policy, save_policy
from executions.policies.problems import problems_of, ref_problem
from executions.policies.stats import QueueStats, queue_stats

VALUES = (
    "label", "description", "enabled", "method", "threshold", "parameters", "rate_limit", "rate_seconds",
    "max_queue_length", "max_queue_age",
)  # fmt: skip


class PolicyShape(RowSerializer):
    class Meta:
        model = Policy
        fields = ("id", "created", "updated", "ref", "pack", "pack_ref", "action_ref", *VALUES, "is_adhoc")


class ActionRef(Text):
    """An action by its ref; a hidden one is 404 like an absent one."""

    def to_internal_value(self, data: Any) -> str:
        ref = super().to_internal_value(data)
        actions = visible(self.context["request"].user, "actions", Action.objects.all())
        if not actions.filter(ref=ref).exists():
            raise NotFound(f"{self.field_name}: no action {ref!r}")
        return ref


class Seconds(serializers.FloatField):
    """A number, and no text or flag that could be taken for one."""

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("invalid")
        return float(super().to_internal_value(data))


class PolicyBody(RowSerializer):
    """A policy to be made or changed; its scope (`action_ref`, `pack_ref`) is fixed once it is made."""

    ref = Text(max_length=keys.LONGEST_REF, required=False)
    pack_ref = VisibleRef(Pack, resource="packs", source="pack", required=False, allow_null=True)
    action_ref = ActionRef(required=False, allow_null=True)
    parameters = Names()
    rate_seconds = Seconds(required=False, allow_null=True)
    max_queue_age = Seconds(required=False, allow_null=True)

    class Meta:
        model = Policy
        fields = ("ref", "pack_ref", "action_ref", *VALUES)
        extra_kwargs = {"method": {"required": True}}

    def to_internal_value(self, data: Any) -> Any:
        """Give refs without a dot their pack."""
        if isinstance(data, Mapping):
            pack = _text(data, "pack_ref") or (self.instance.pack_ref if self.instance else None)
            action = _text(data, "action_ref")
            if action and pack:
                data = {**data, "action_ref": keys.qualified(action, pack)}
            pack = pack or (action or "").rpartition(".")[0]
            ref = _text(data, "ref")
            if ref and pack:
                data = {**data, "ref": keys.qualified(ref, pack)}
        return super().to_internal_value(data)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if self.instance:
            self._refuse_moving(attrs)
        else:
            self._place(attrs)
        values = {name: attrs.get(name, getattr(self.instance, name, None)) for name in VALUES}
        problems = problems_of(values)
        if problems:
            raise ValidationError(problems)
        return attrs

    def _refuse_moving(self, attrs: dict[str, Any]) -> None:
        for name, column in (("ref", "ref"), ("pack", "pack_ref"), ("action_ref", "action_ref")):
            if attrs.pop(name, getattr(self.instance, name)) != getattr(self.instance, name):
                raise ValidationError({column: ["A policy keeps its ref and its scope; make another one."]})

    def _place(self, attrs: dict[str, Any]) -> None:
        """Fill in the ref and the pack: those of the action, where there is one."""
        action = attrs.get("action_ref")
        if action:
            pack = Action.objects.select_related("pack").get(ref=action).pack
            if (attrs.get("pack") or pack) != pack:
                raise ValidationError({"action_ref": [f"It isn't in the pack {attrs['pack'].ref}."]})
            attrs["pack"] = pack
        attrs.setdefault("ref", _made_ref(action, attrs.get("pack")))
        problem = ref_problem(attrs["ref"])
        if problem:
            raise ValidationError({"ref": [problem]})


def _text(data: Mapping[str, Any], name: str) -> str | None:
    value = data.get(name)
    return value if isinstance(value, str) and value else None


def _made_ref(action: str | None, pack: Pack | None) -> str:
    """Return a ref for a policy that was given none."""
    some = uuid.uuid4().hex[:8]
    base = action or (f"{pack.ref}.all" if pack else "all")
    return f"{base[: keys.LONGEST_REF - len(some) - 1]}-{some}"


class PolicyFilters(RowFilters):
    pack_ref = Texts("pack_ref")
    action_ref = Texts("action_ref")
    enabled = Flag("enabled")
    method = Choices("method", choices=Method.choices)
    search = Search(columns=("ref", "label", "description"))

    class Meta:
        model = Policy
        fields: list[str] = []


class PolicyViews(Catalogue):
    queryset = Policy.objects.select_related("pack")
    resource = "policies"
    lookup_field = "ref"
    serializer_class = PolicyShape
    write_serializer_class = PolicyBody
    filterset_class = PolicyFilters
    ordering_fields = ("created", "id", "updated", "ref", "pack_ref", "action_ref", "threshold", "enabled")

    def make(self, serializer: Any) -> Policy:
        values = serializer.validated_data
        pack = values.get("pack")
        policy = Policy(is_adhoc=True, pack_ref=pack.ref if pack else None, **values)
        require(self.request.user, "policies", "create", policy)
        return save_policy(policy)

    def change(self, row: Policy, serializer: Any) -> Policy:
        policy = locked_policy(row.pk)
        if policy is None:
            raise NotFound("Not found.")
        for name, value in serializer.validated_data.items():
            setattr(policy, name, value)
        return save_policy(policy)

    def remove(self, row: Policy) -> None:
        delete_policy(row)


class QueueStatsShape(serializers.Serializer[QueueStats]):
    action_id = serializers.IntegerField()
    action_ref = serializers.CharField()
    queue_length = serializers.IntegerField()
    active_count = serializers.IntegerField()
    max_concurrent = serializers.IntegerField(help_text="Per group; 0: no policy limits it.")
    oldest_enqueued_at = serializers.DateTimeField(allow_null=True)
    total_enqueued = serializers.IntegerField()
    total_completed = serializers.IntegerField()
    last_updated = serializers.DateTimeField()


class QueueStatsView(View):
    """`GET /actions/{ref}/queue-stats`"""

    resource = "actions"
    permission_map = {"get": "read"}

    @extend_schema(responses=QueueStatsShape, operation_id="actions_queue_stats")
    def get(self, request: Request, ref: str) -> Response:
        action = visible_or_404(request.user, "actions", Action.objects.all(), ref=ref)
        return answer(QueueStatsShape(queue_stats(action)).data)
