"""What the health routes answer, for the OpenAPI document."""

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
