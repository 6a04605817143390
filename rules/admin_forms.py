"""The form of a rule: judged as the API judges it."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from rest_framework.exceptions import APIException
from unfold.widgets import UnfoldAdminTextInputWidget

from attune_project.identity.admin_pages import JsonField, JsonMapField
from attune_project.identity.models import Identity
from attune_project.identity.rbac import allowed
from attune_project.identity.references import require_lendable
from attune_project.packs import keys
from rules.api.params import shown_params, stored_params
from rules.models import Rule
from rules.problems import problems_of

MAPS = ("conditions", "action_params", "trigger_params")
LINES = ("ref", "label", "description", "permission_set_refs")


class RuleForm(forms.ModelForm):
    """A rule to be made or changed; `ref` and `pack` are fixed once it is made."""

    caller: Identity  # set by the page
    conditions = JsonField(required=False)
    action_params = JsonMapField(required=False)
    trigger_params = JsonMapField(required=False)

    class Meta:
        model = Rule
        fields = (
            "ref", "pack", "label", "description", "enabled", "trigger", "trigger_params", "conditions",
            "action", "action_params", "permission_set_refs", "type",
        )  # fmt: skip

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for name, field in self.fields.items():
            if name in ("trigger", "action"):
                field.required = True
            if name in LINES:
                field.widget = UnfoldAdminTextInputWidget()
        if self.instance.pk is not None:
            self.initial["action_params"] = shown_params(self.instance.action, self.instance.action_params)

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        if "conditions" in values:
            values["conditions"] = values["conditions"] or {}
        if not self.errors:
            self._judge(values)
        return values

    def _judge(self, values: dict[str, Any]) -> None:
        if self.instance.pk is None:
            self._judge_new(values)
        before = self.instance.action_params if self.instance.pk else None
        values["action_params"] = stored_params(values["action"], values["action_params"], before)
        maps = {name: values[name] for name in MAPS}
        for path, texts in problems_of(values["trigger"], values["action"], **maps).items():
            field = next((name for name in MAPS if path.startswith(name)), None)
            self.add_error(field, [f"{path}: {text}" for text in texts])
        self._judge_rights(values)

    def _judge_new(self, values: dict[str, Any]) -> None:
        try:
            values["ref"] = keys.own_ref("ref", values["ref"], values["pack"].ref)
        except keys.ItemError as error:
            self.add_error("ref", error.reason)
            return
        new = Rule(ref=values["ref"], pack=values["pack"], pack_ref=values["pack"].ref)
        new.owner_identity = self.caller
        if not allowed(self.caller, "rules", "create", new):
            self.add_error("pack", "Permission denied: rules:create")

    def _judge_rights(self, values: dict[str, Any]) -> None:
        try:
            require_lendable(self.caller, values["permission_set_refs"] or (), "permission_set_refs")
        except APIException as refused:
            self.add_error("permission_set_refs", ValidationError(str(refused.detail)))
