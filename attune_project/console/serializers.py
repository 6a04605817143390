"""What the routes of the console answer."""

from rest_framework import serializers


class Plain(serializers.Serializer):
    status = serializers.CharField()
    reason = serializers.CharField(required=False)


class OneCheck(serializers.Serializer):
    status = serializers.ChoiceField(["ok", "red"])
    reason = serializers.CharField(required=False)


class Detailed(serializers.Serializer):
    status = serializers.ChoiceField(["ok", "degraded"])
    version = serializers.CharField()
    database = serializers.ChoiceField(["connected", "unreachable"])
    broker = serializers.ChoiceField(["connected", "unreachable"])
    checks = serializers.DictField(child=OneCheck())


class TraceEvent(serializers.Serializer):
    id = serializers.IntegerField()
    trigger = serializers.IntegerField(source="trigger_id", allow_null=True)
    trigger_ref = serializers.CharField()
    source_ref = serializers.CharField(allow_null=True)
    rule = serializers.IntegerField(source="rule_id", allow_null=True)
    rule_ref = serializers.CharField(allow_null=True)
    status = serializers.CharField()
    reason = serializers.CharField(allow_null=True)
    created = serializers.DateTimeField()
    decided_at = serializers.DateTimeField(allow_null=True)
    trace_id = serializers.UUIDField()


class TraceEvaluation(serializers.Serializer):
    """`id` is null when it was worked out just now, or is told by its enforcement."""

    id = serializers.IntegerField(allow_null=True)
    event = serializers.IntegerField(source="event_id")
    rule = serializers.IntegerField(source="rule_id", allow_null=True)
    rule_ref = serializers.CharField()
    rule_version = serializers.IntegerField()
    status = serializers.CharField()
    reason = serializers.CharField(allow_null=True)
    created = serializers.DateTimeField()


class TraceEnforcement(serializers.Serializer):
    id = serializers.IntegerField()
    rule = serializers.IntegerField(source="rule_id", allow_null=True)
    rule_ref = serializers.CharField()
    rule_version = serializers.IntegerField()
    event = serializers.IntegerField(source="event_id", allow_null=True)
    execution = serializers.IntegerField(source="execution_id", allow_null=True)
    status = serializers.CharField()
    reason = serializers.CharField(allow_null=True)
    created = serializers.DateTimeField()
    resolved_at = serializers.DateTimeField(allow_null=True)
    trace_id = serializers.UUIDField()


class TraceAttempt(serializers.Serializer):
    id = serializers.IntegerField()
    number = serializers.IntegerField()
    worker = serializers.IntegerField(source="worker_id", allow_null=True)
    status = serializers.CharField()
    reason = serializers.CharField(allow_null=True)
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)


class TraceExecution(serializers.Serializer):
    id = serializers.IntegerField()
    action = serializers.IntegerField(source="action_id", allow_null=True)
    action_ref = serializers.CharField()
    enforcement = serializers.IntegerField(source="enforcement_id", allow_null=True)
    parent = serializers.IntegerField(source="parent_id", allow_null=True)  # type: ignore[assignment]
    original_execution = serializers.IntegerField(source="original_execution_id", allow_null=True)
    worker = serializers.IntegerField(source="worker_id", allow_null=True)
    status = serializers.CharField()
    reason = serializers.CharField(allow_null=True)
    retry_count = serializers.IntegerField()
    created = serializers.DateTimeField()
    due_at = serializers.DateTimeField(allow_null=True)
    scheduled_at = serializers.DateTimeField(allow_null=True)
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    settled_at = serializers.DateTimeField(allow_null=True)
    trace_id = serializers.UUIDField()
    attempts = TraceAttempt(many=True)


class TraceShape(serializers.Serializer):
    """The chain of the row that was asked for; `trace_id` is that row's."""

    trace_id = serializers.UUIDField()
    events = TraceEvent(many=True)
    evaluations = TraceEvaluation(many=True)
    enforcements = TraceEnforcement(many=True)
    executions = TraceExecution(many=True)
