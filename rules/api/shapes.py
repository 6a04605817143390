"""How rules, enforcements and evaluations look from outside."""

from typing import Any

from django.db.models.fields.json import KeyTextTransform
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from attune_project.rest.serializers import Document, Map, RowSerializer
from executions.models import Action
from rules.api.params import rendered_params, shown_params
from rules.models import Enforcement, Outcome, Rule, RuleVersion

ANY_MAP = {"type": "object", "additionalProperties": {}}
ENFORCEMENT_ITEM = (
    "id", "created", "updated", "rule", "rule_ref", "trigger_ref", "event", "status", "condition",
    "rule_version", "execution", "trace_id", "resolved_at",
)  # fmt: skip


class RuleShape(RowSerializer):
    """A rule. Its query must have joined the action."""

    action_params = serializers.SerializerMethodField()
    trigger_params = Map(read_only=True)

    class Meta:
        model = Rule
        fields = (
            "id", "created", "updated", "ref", "pack", "pack_ref", "label", "description", "trigger",
            "trigger_ref", "action", "action_ref", "conditions", "action_params", "trigger_params",
            "permission_set_refs", "enabled", "is_adhoc", "type", "owner_identity", "last_error",
            "last_error_at",
        )  # fmt: skip

    @extend_schema_field(ANY_MAP)
    def get_action_params(self, rule: Rule) -> dict[str, Any]:
        return shown_params(rule.action, rule.action_params)


class EnforcementItem(RowSerializer):
    class Meta:
        model = Enforcement
        fields: tuple[str, ...] = ENFORCEMENT_ITEM


class EnforcementDetail(RowSerializer):
    """One enforcement, with its event's payload. Its query must have joined the event."""

    config = serializers.SerializerMethodField()
    payload = serializers.SerializerMethodField()

    class Meta:
        model = Enforcement
        fields = (*ENFORCEMENT_ITEM, "conditions", "config", "payload")

    @extend_schema_field(ANY_MAP)
    def get_config(self, enforcement: Enforcement) -> dict[str, Any]:
        return rendered_params(action_of(enforcement), enforcement.config)

    @extend_schema_field({})
    def get_payload(self, enforcement: Enforcement) -> Any:
        event = enforcement.event
        return enforcement.payload if event is None else event.payload


def action_of(enforcement: Enforcement) -> Action | None:
    """Return the action that the deciding version named, if it is still there."""
    if enforcement.rule_id is None:
        return None
    version = RuleVersion.objects.filter(rule_id=enforcement.rule_id, number=enforcement.rule_version)
    named = version.order_by().values_list(KeyTextTransform("action_ref", "definition"))
    return Action.objects.filter(ref__in=named).first()


class ClauseShape(serializers.Serializer[Any]):
    """What one clause saw and said."""

    path = serializers.CharField()
    operator = serializers.CharField()
    value = Document(allow_null=True)
    pattern = Document(allow_null=True)
    outcome = serializers.ChoiceField(choices=Outcome.choices)


class EvaluationShape(serializers.Serializer[Any]):
    """What one rule said of an event. `id` is null when it was worked out just now."""

    id = serializers.IntegerField(allow_null=True)
    created = serializers.DateTimeField()
    updated = serializers.DateTimeField()
    event = serializers.IntegerField()
    rule = serializers.IntegerField(allow_null=True)
    rule_ref = serializers.CharField()
    rule_version = serializers.IntegerField()
    outcome = serializers.ChoiceField(choices=Outcome.choices)
    reason = serializers.CharField(allow_null=True)
    detail = Document(allow_null=True)


class AnswerShape(serializers.Serializer[Any]):
    """What conditions say of a payload, and the parameters that would be given to an action."""

    matched = serializers.BooleanField()
    outcome = serializers.ChoiceField(choices=Outcome.choices)
    reason = serializers.CharField(allow_null=True)
    clauses = ClauseShape(many=True)
    rendered = Map(required=False)
