"""How keys look from outside: values only to those who may decrypt them."""

import json
import re
from typing import Any

from django.apps import apps
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import NotFound

from attune_project.identity.models import Identity, Key, OwnerType
from attune_project.identity.rbac import allowed, visible
from attune_project.identity.references import VisibleRef
from attune_project.rest.serializers import Document, Flag, Number, RowSerializer, Text

from .storing import value_of

REF = re.compile(r"[^.\s]+(\.[^.\s]+)*")
LARGEST_VALUE = 1024 * 1024
LARGEST_ID = 2**63 - 1
OWNER_FIELDS = {
    OwnerType.SYSTEM: (),
    OwnerType.IDENTITY: ("owner_identity", "owner_identity_login"),
    OwnerType.PACK: ("owner_pack_ref",),
    OwnerType.ACTION: ("owner_action_ref",),
    OwnerType.SENSOR: ("owner_sensor_ref",),
}
EVERY_OWNER_FIELD = tuple(name for names in OWNER_FIELDS.values() for name in names)


class KeyItem(RowSerializer):
    class Meta:
        model = Key
        fields = ("id", "ref", "owner_type", "owner", "name", "encrypted", "created")


class KeyShape(RowSerializer):
    value = serializers.SerializerMethodField("value_for_caller", help_text="null without keys:decrypt")

    class Meta:
        model = Key
        fields = (
            "id", "ref", "owner_type", "owner", "owner_identity", "owner_pack", "owner_pack_ref",
            "owner_action", "owner_action_ref", "owner_sensor", "owner_sensor_ref", "name", "encrypted",
            "value", "created", "updated",
        )  # fmt: skip

    @extend_schema_field(OpenApiTypes.ANY)
    def value_for_caller(self, key: Key) -> Any:
        return value_of(key) if allowed(self.context["request"].user, "keys", "decrypt", key) else None


class KeyValue(Document):
    """Any JSON value up to LARGEST_VALUE bytes."""

    def to_internal_value(self, data: Any) -> Any:
        value = super().to_internal_value(data)
        if len(json.dumps(value).encode()) > LARGEST_VALUE:
            raise serializers.ValidationError(f"Larger than {LARGEST_VALUE} bytes as JSON.")
        return value


class KeyBody(RowSerializer):
    """What a body may say of a key; its ref and its owner are fixed once it is made."""

    name = Text(max_length=255)
    value = KeyValue(allow_null=True)
    encrypted = Flag(default=True)
    owner_identity = Number(required=False, allow_null=True, min_value=1, max_value=LARGEST_ID)
    owner_identity_login = Text(required=False, allow_null=True)
    owner_pack_ref = VisibleRef(
        apps.get_model("packs.Pack"), resource="packs", required=False, allow_null=True
    )
    owner_action_ref = VisibleRef(
        apps.get_model("executions.Action"), resource="actions", required=False, allow_null=True
    )
    owner_sensor_ref = VisibleRef(
        apps.get_model("sensors.Sensor"), resource="sensors", required=False, allow_null=True
    )

    class Meta:
        model = Key
        fields = ("ref", "owner_type", *EVERY_OWNER_FIELD, "name", "encrypted", "value")

    def validate_ref(self, value: str) -> str:
        if not REF.fullmatch(value):
            raise serializers.ValidationError("Expected words with dots between them, and no blanks.")
        if value != value.lower():
            raise serializers.ValidationError("Expected lower case.")
        return value

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if self.instance is not None:
            _refuse_moving(self.instance, attrs)
            return {name: attrs[name] for name in ("name", "encrypted", "value") if name in attrs}
        given = {name: attrs.pop(name, None) for name in EVERY_OWNER_FIELD}
        owner_type = attrs["owner_type"]
        attrs |= _owner(owner_type, _one_owner(owner_type, given), self.context["request"].user)
        return attrs


def _one_owner(owner_type: str, given: dict[str, Any]) -> tuple[str, Any]:
    """Return the one field of an owner that is given, and its value; refuse any but that of the type."""
    names = OWNER_FIELDS[OwnerType(owner_type)]
    found = {name: value for name, value in given.items() if value is not None}
    strange = sorted(found.keys() - set(names))
    if strange:
        raise serializers.ValidationError({strange[0]: [f"A key of owner_type {owner_type} has none."]})
    if names and not found:
        raise serializers.ValidationError({names[0]: [f"A key of owner_type {owner_type} needs it."]})
    if len(found) > 1:
        raise serializers.ValidationError({names[1]: [f"This or {names[0]}, not both."]})
    return next(iter(found.items()), ("", None))


def _owner(owner_type: str, named: tuple[str, Any], caller: Identity) -> dict[str, Any]:
    """Return the columns of the owner that a body names."""
    field, value = named
    if not field:
        return {"owner": OwnerType.SYSTEM.value}
    if owner_type == OwnerType.IDENTITY:
        identity = _identity("pk" if field == "owner_identity" else "login", value, caller)
        return {"owner": str(identity.pk), "owner_identity": identity}
    return {"owner": value.ref, field: value.ref, f"owner_{owner_type}": value}


def _identity(column: str, value: Any, caller: Identity) -> Identity:
    """Return an identity that the caller knows of; all know themselves."""
    if getattr(caller, column) == value:
        return caller
    found = visible(caller, "identities", Identity.objects.filter(**{column: value})).first()
    if found is None:
        raise NotFound(f"There is no identity {value!r}.")
    return found


def _refuse_moving(key: Key, attrs: dict[str, Any]) -> None:
    current = {
        "ref": key.ref, "owner_type": key.owner_type, "owner_identity": key.owner_identity_id,
        "owner_identity_login": key.owner_identity.login if key.owner_identity else None,
        "owner_pack_ref": key.owner_pack, "owner_action_ref": key.owner_action,
        "owner_sensor_ref": key.owner_sensor,
    }  # fmt: skip
    for name, value in current.items():
        if attrs.get(name, value) not in (value, None):
            raise serializers.ValidationError({name: ["A key keeps its ref and owner; make another one."]})
