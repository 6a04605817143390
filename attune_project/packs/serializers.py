"""How packs, runtimes and workers look from outside."""

from collections.abc import Callable, Mapping
from typing import Any

from rest_framework import serializers

from attune_project.language.schemas import check_schema
from attune_project.rest.serializers import Document, Flag, Map, RowSerializer, Text

from . import keys
from .config import redacted, restored
from .manifest import config_problems
from .models import Pack, Runtime, Worker


class PackItem(RowSerializer):
    class Meta:
        model = Pack
        fields = ("id", "ref", "label", "description", "version", "tags", "is_standard", "created", "updated")


class PackDetail(RowSerializer):
    conf_schema = Map(read_only=True)
    config = serializers.SerializerMethodField()
    meta = Map(read_only=True)

    class Meta:
        model = Pack
        fields = (
            "id", "ref", "label", "description", "version", "conf_schema", "config", "meta", "tags",
            "runtime_deps", "dependencies", "is_standard", "owner", "source_type", "source_url", "source_ref",
            "checksum", "storage_path", "created", "updated",
        )  # fmt: skip

    def get_config(self, pack: Pack) -> dict[str, Any]:
        return redacted(pack.config, pack.conf_schema)


class PackBody(RowSerializer):
    """What a body may say of a pack; `ref` is fixed once it is made."""

    ref = Text(max_length=keys.LONGEST_REF)
    conf_schema = Map(required=False)
    config = Map(required=False)
    meta = Map(required=False)
    tags = serializers.ListField(child=Text(), required=False)
    runtime_deps = serializers.ListField(child=Text(), required=False)
    dependencies = serializers.ListField(child=Text(), required=False)

    class Meta:
        model = Pack
        fields = (
            "ref", "label", "description", "version", "conf_schema", "config", "meta", "tags", "runtime_deps",
            "dependencies",
        )  # fmt: skip

    def validate_ref(self, value: str) -> str:
        return _read(keys.pack_ref, "ref", value)

    def validate_version(self, value: str) -> str:
        return _read(keys.version, "version", value)

    def validate_conf_schema(self, value: dict[str, Any]) -> dict[str, Any]:
        _refuse(check_schema(value))
        return value

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        schema = attrs.get("conf_schema", self.instance.conf_schema if self.instance else {})
        if "config" in attrs:
            attrs["config"] = restored(attrs["config"], self.instance.config if self.instance else {}, schema)
            _refuse(config_problems(schema, attrs["config"]), "config")
        if self.instance is not None and attrs.pop("ref", self.instance.ref) != self.instance.ref:
            raise serializers.ValidationError({"ref": ["A ref is never changed; make another pack."]})
        return attrs


def _read(reader: Callable[[str, Any], Any], name: str, value: str) -> str:
    try:
        return str(reader(name, value))
    except keys.ItemError as error:
        raise serializers.ValidationError(error.reason) from None


def _refuse(problems: Mapping[str, list[str]], field: str = "") -> None:
    if problems:
        named = {f"{field}.{path}".strip("."): texts for path, texts in problems.items()}
        raise serializers.ValidationError(named)


class LoadWarning(serializers.Serializer[Any]):
    file = serializers.CharField()
    line = serializers.IntegerField()
    reason = serializers.CharField()


class Installed(serializers.Serializer[Any]):
    pack = PackDetail()
    test_result = Document(allow_null=True)
    tests_skipped = serializers.BooleanField()
    warnings = LoadWarning(many=True)


class Upload(serializers.Serializer[Any]):
    """A multipart body: flags are words there."""

    pack = serializers.FileField(allow_empty_file=True)
    force = serializers.BooleanField(default=False)
    skip_tests = serializers.BooleanField(default=False)


class Registration(serializers.Serializer[Any]):
    path = Text()
    force = Flag(default=False)
    skip_tests = Flag(default=False)


class RuntimeShape(RowSerializer):
    distributions = Map(read_only=True)
    execution_config = Map(read_only=True)

    class Meta:
        model = Runtime
        fields = (
            "id", "ref", "pack", "pack_ref", "name", "aliases", "description", "distributions",
            "execution_config", "created", "updated",
        )  # fmt: skip


class Cordon(serializers.Serializer[Any]):
    """Why a worker is to take nothing new."""

    reason = Text(required=False, allow_null=True)


class WorkerLoad(serializers.Serializer[Any]):
    running = serializers.IntegerField()
    scheduled = serializers.IntegerField()
    total_active = serializers.IntegerField()
    max_concurrent_executions = serializers.IntegerField(allow_null=True)
    utilization_percent = serializers.FloatField(allow_null=True)
    sensor_processes_running = serializers.IntegerField()
    sensor_processes_monitored = serializers.IntegerField()
    active_rules = serializers.IntegerField()
    max_concurrent_sensors = serializers.IntegerField(allow_null=True)


class WorkerShape(RowSerializer):
    """A worker with what is worked out of its row: see worker_state.py."""

    capabilities = Map(read_only=True)
    meta = Map(read_only=True)
    heartbeat_age_seconds = serializers.FloatField(allow_null=True, read_only=True)
    heartbeat_stale = serializers.BooleanField(read_only=True)
    health_state = serializers.CharField(read_only=True)
    supported_runtimes = serializers.SerializerMethodField()
    load = WorkerLoad(read_only=True)

    class Meta:
        model = Worker
        fields = (
            "id", "name", "worker_type", "worker_role", "pool", "host", "status", "capabilities", "meta",
            "last_heartbeat", "cordoned", "cordon_reason", "cordoned_by", "cordoned_at",
            "heartbeat_age_seconds", "heartbeat_stale", "health_state", "supported_runtimes", "load",
            "created", "updated",
        )  # fmt: skip

    def get_supported_runtimes(self, worker: Worker) -> list[str]:
        return list(worker.capabilities.get("runtimes", []))
