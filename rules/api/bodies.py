"""What bodies may say of rules."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from attune_project.identity.references import VisibleRef
from attune_project.packs import keys
from attune_project.packs.bodies import PackItemBody
from attune_project.rest.serializers import Document, Map, Text
from executions.models import Action
from rules.api.params import stored_params
from rules.models import Rule
from rules.problems import problems_of
from sensors.models import Trigger

WRITABLE_MAPS = ("action_params", "trigger_params")


class RuleBody(PackItemBody):
    """A rule to be made or changed."""

    trigger_ref = VisibleRef(Trigger, resource="triggers", source="trigger")
    action_ref = VisibleRef(Action, resource="actions", source="action")
    conditions = Document(required=False, allow_null=True)
    action_params = Map(required=False)
    trigger_params = Map(required=False)
    permission_set_refs = serializers.ListField(child=Text(), required=False, allow_null=True)

    class Meta:
        model = Rule
        fields = (
            "ref", "pack_ref", "label", "description", "trigger_ref", "action_ref", "conditions",
            "action_params", "trigger_params", "permission_set_refs", "enabled", "type",
        )  # fmt: skip

    def to_internal_value(self, data: Any) -> Any:
        return super().to_internal_value(self._qualified(data) if isinstance(data, Mapping) else data)

    def _qualified(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Give the refs of trigger and action without a dot the rule's pack, too."""
        pack = data.get("pack_ref") if self.instance is None else self.instance.pack_ref
        names = ("trigger_ref", "action_ref")
        known = {name: data[name] for name in names if isinstance(data.get(name), str) and data[name]}
        if not isinstance(pack, str):
            return dict(data)
        return {**data, **{name: keys.qualified(ref, pack) for name, ref in known.items()}}

    def validate_conditions(self, value: Any) -> Any:
        return {} if value is None else value

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        return self._checked(super().validate(attrs))

    def _checked(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Judge the rule as it is going to be, not only what the body names."""
        trigger, action = (self._row(attrs, name) for name in ("trigger", "action"))
        if "action_params" in attrs:
            before = self.instance.action_params if self.instance else None
            attrs["action_params"] = stored_params(action, attrs["action_params"], before)
        values = {name: self._value(attrs, name) for name in ("conditions", *WRITABLE_MAPS)}
        problems = problems_of(trigger, action, **values)
        if problems:
            raise ValidationError(problems)
        return attrs

    def _row(self, attrs: dict[str, Any], name: str) -> Any:
        row = attrs.get(name) or getattr(self.instance, name, None)
        if row is None:
            gone = getattr(self.instance, f"{name}_ref")
            raise ValidationError({f"{name}_ref": [f"There is no {name} {gone!r} any more; name another."]})
        return row

    def _value(self, attrs: dict[str, Any], name: str) -> Any:
        return attrs.get(name, getattr(self.instance, name) if self.instance else {})


class Question(serializers.Serializer[Any]):
    """Conditions (or a criteria map) to be asked about a payload; nothing is stored."""

    conditions = Document(required=False, allow_null=True)
    criteria = Map(required=False, allow_null=True)
    payload = Document(required=False, allow_null=True)
    trigger_params = Map(required=False, allow_null=True)
    action_params = Map(required=False, allow_null=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs.get("criteria") is not None and attrs.get("conditions") is not None:
            raise ValidationError({"criteria": ["Give conditions or criteria, not both."]})
        return attrs
