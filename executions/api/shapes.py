"""How executions are shown; secret parameters only to those who may decrypt."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from attune_project.language.redaction import all_redacted, redacted
from attune_project.rest.serializers import RowSerializer
from executions.models import Action, Attempt, Execution, Progress
from executions.models.attempt import with_results
from executions.policies.places import places

ITEM_FIELDS = (
    "id", "created", "updated", "rule_ref", "trigger_ref", "action", "action_ref", "parent", "executor",
    "worker", "status", "status_reason", "worker_pool", "retry_count", "max_retries", "retry_reason",
    "original_execution", "rerun_reason", "priority", "policy", "cancelled_by", "cancel_reason", "due_at",
    "trace_id", "scheduled_at", "started_at", "finished_at", "settled_at",
)  # fmt: skip


JOINED = ("enforcement", "progress", "policy")
JOINED_FIELDS = ("enforcement__id", "progress__percent", "progress__text", "progress__updated", "policy__ref")


class ExecutionProgress(RowSerializer):
    class Meta:
        model = Progress
        fields = ("percent", "text", "updated")


class Place(serializers.Serializer[Any]):
    """Where it stands among those that wait for the same slots; 1 is next."""

    place = serializers.IntegerField()
    length = serializers.IntegerField()


class Page(serializers.ListSerializer[Any]):
    """Executions of a list, with their places in queues from one query."""

    def to_representation(self, data: Any) -> Any:
        rows = list(data)
        child: Any = self.child
        child.places = places(rows)
        return super().to_representation(rows)


class ExecutionItem(RowSerializer):
    """An execution in a list. Its query must have joined what JOINED names, so that no row costs a query."""

    enforcement = serializers.SerializerMethodField()
    policy_ref = serializers.SerializerMethodField()
    progress = serializers.SerializerMethodField()
    queue = serializers.SerializerMethodField()
    workflow_def = serializers.SerializerMethodField()
    workflow_task = serializers.SerializerMethodField()

    places: dict[int, tuple[int, int]] | None = None

    class Meta:
        model = Execution
        list_serializer_class = Page
        fields: tuple[str, ...] = (
            *ITEM_FIELDS, "policy_ref", "progress", "queue", "enforcement", "workflow_def", "workflow_task",
        )  # fmt: skip

    def get_enforcement(self, execution: Execution) -> int | None:
        enforcement = getattr(execution, "enforcement", None)
        return enforcement.pk if enforcement else None

    def get_policy_ref(self, execution: Execution) -> str | None:
        return execution.policy.ref if execution.policy else None

    @extend_schema_field(ExecutionProgress(allow_null=True))
    def get_progress(self, execution: Execution) -> Any:
        progress = getattr(execution, "progress", None)
        return ExecutionProgress(progress).data if progress else None

    @extend_schema_field(Place(allow_null=True))
    def get_queue(self, execution: Execution) -> dict[str, int] | None:
        known = places([execution]) if self.places is None else self.places
        found = known.get(execution.pk)
        return {"place": found[0], "length": found[1]} if found else None

    @extend_schema_field({"type": "integer", "nullable": True})
    def get_workflow_def(self, execution: Execution) -> None:
        return None  # workflows aren't built yet

    @extend_schema_field({"type": "object", "nullable": True})
    def get_workflow_task(self, execution: Execution) -> None:
        return None


class AttemptDetail(RowSerializer):
    class Meta:
        model = Attempt
        fields = (
            "id", "created", "updated", "execution", "number", "worker", "status", "result", "started_at",
            "finished_at",
        )  # fmt: skip


class ExecutionDetail(ExecutionItem):
    """One execution. Context `include_secret_values` shows the secret parameters too."""

    config = serializers.SerializerMethodField()
    attempts = serializers.SerializerMethodField()

    class Meta(ExecutionItem.Meta):
        fields = (
            *ExecutionItem.Meta.fields, "config", "env_vars", "result", "permission_set_refs",
            "worker_selector", "worker_tolerations", "worker_affinity", "attempts",
        )  # fmt: skip

    @extend_schema_field({"type": "object", "additionalProperties": {}})
    def get_config(self, execution: Execution) -> Any:
        if self.context.get("include_secret_values"):
            return execution.config
        actions = Action.objects.filter(pk=execution.action_id or 0).values_list("param_schema", flat=True)
        known = list(actions)
        return redacted(known[0], execution.config) if known else all_redacted(execution.config)

    @extend_schema_field(AttemptDetail(many=True))
    def get_attempts(self, execution: Execution) -> Any:
        attempts = with_results(execution, list(execution.attempts.order_by("number")))
        return AttemptDetail(attempts, many=True).data
