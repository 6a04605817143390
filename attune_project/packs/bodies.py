"""What bodies may say of anything that is in a pack."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from attune_project.identity.references import VisibleRef
from attune_project.language.schemas import check_schema
from attune_project.rest.serializers import Map, RowSerializer, Text

from . import keys
from .models import Pack


class SchemaOf(Map):
    """A schema in either form of the contract; stored as given."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"required": False, "allow_null": True, **options})

    def to_internal_value(self, data: Any) -> Any:
        schema = super().to_internal_value(data)
        problems = check_schema(schema)
        if problems:
            raise ValidationError(problems)
        return schema


class Names(serializers.ListField):
    """A list of texts that a body may leave out."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"child": Text(), "required": False, **options})


class PackItemBody(RowSerializer):
    """A row of a pack to be made or changed; its `ref` and `pack_ref` are fixed once it is made.

    A subclass names `ref` and `pack_ref` among its fields.
    """

    ref = Text(max_length=keys.LONGEST_REF)
    pack_ref = VisibleRef(Pack, resource="packs", source="pack")

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            pack = self.instance.pack_ref if self.instance else data.get("pack_ref")
            if isinstance(pack, str) and isinstance(data.get("ref"), str) and data["ref"]:
                data = {**data, "ref": keys.qualified(data["ref"], pack)}
        return super().to_internal_value(data)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if self.instance:
            refuse_moving(self.instance, attrs)
        else:
            pack = attrs.get("pack")
            refuse_foreign_ref(attrs["ref"], pack.ref if pack else future_pack(attrs["ref"]))
        return attrs


def future_pack(ref: str) -> str:
    """Return the pack that a ref begins with; no pack of that name need be there."""
    pack, dot, _ = ref.partition(".")
    if not dot or not keys.PACK_REF.fullmatch(pack):
        raise ValidationError({"ref": ["Expected <pack>.<name>, in lower case."]})
    return pack


def refuse_foreign_ref(ref: str, pack: str) -> None:
    try:
        keys.own_ref("ref", ref, pack)
    except keys.ItemError as error:
        raise ValidationError({"ref": [error.reason]}) from None


def refuse_moving(row: Any, attrs: dict[str, Any]) -> None:
    """Refuse another ref or pack: history and rules know the row by them."""
    if attrs.pop("ref", row.ref) != row.ref:
        raise ValidationError({"ref": ["A ref is never changed; make another one."]})
    if attrs.pop("pack", row.pack) != row.pack:
        raise ValidationError({"pack_ref": ["It stays in its pack; make another one."]})
