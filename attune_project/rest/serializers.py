"""How rows become JSON: foreign keys as bare ids, text that is text, maps that are maps."""

from typing import Any

from django.db import models
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.validators import UniqueValidator


class Text(serializers.CharField):
    """Text, kept as it is given, blanks around it too; a number isn't quietly taken for it.

    `trim_whitespace` (on by default) only says that blanks alone are no text.
    """

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return data


class Trimmed(Text):
    """Text without the blanks around it: a login, which people type and paste."""

    def to_internal_value(self, data: Any) -> str:
        return super().to_internal_value(data).strip()


class Flag(serializers.BooleanField):
    """true or false, and no word for them."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class Number(serializers.IntegerField):
    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return super().to_internal_value(data)


@extend_schema_field(OpenApiTypes.ANY)
class Document(serializers.JSONField):
    """Any JSON value."""


@extend_schema_field(OpenApiTypes.OBJECT)
class Map(serializers.JSONField):
    """A JSON object."""

    default_error_messages = {"not_a_map": "Expected an object."}

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            self.fail("not_a_map")
        return data


@extend_schema_field(OpenApiTypes.INT64)
class BareId(serializers.PrimaryKeyRelatedField):
    """A foreign key as its id alone; nothing is read for it."""


class RefOf(serializers.SlugRelatedField):
    """A row that a body names by its ref: `trigger_ref = RefOf(Trigger, source="trigger")`.

    An unknown one is 404, as the contract has it.
    """

    def __init__(self, model: type[models.Model], **options: Any) -> None:
        self.model = model
        super().__init__(slug_field="ref", queryset=model._default_manager.all(), **options)

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str):
            self.fail("invalid")
        rows = self.get_queryset()
        row = rows.filter(ref=data).first() if rows is not None else None
        if row is None:
            raise NotFound(f"{self.field_name}: no {self.model._meta.verbose_name} {data!r}")
        return row


class RowSerializer(serializers.ModelSerializer):
    """Base of every model's serializer. `created` and `updated` are never written by a body."""

    serializer_related_field = BareId
    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.CharField: Text,
        models.TextField: Text,
        models.BooleanField: Flag,
        models.IntegerField: Number,
        models.PositiveIntegerField: Number,
        models.SmallIntegerField: Number,
        models.PositiveSmallIntegerField: Number,
        models.BigIntegerField: Number,
        models.JSONField: Document,
    }

    def build_standard_field(
        self, field_name: str, model_field: "models.Field[Any, Any]"
    ) -> tuple[type[serializers.Field], dict[str, Any]]:
        """Leave uniqueness to the database: it has no race, and its answer is 409."""
        kind, options = super().build_standard_field(field_name, model_field)
        validators = options.get("validators", [])
        kept = [one for one in validators if not isinstance(one, UniqueValidator)]
        return kind, {**options, "validators": kept} if len(kept) < len(validators) else options

    def get_unique_together_validators(self) -> list[Any]:
        return []
