"""Rules over HTTP."""

from typing import Any

from django.db import models, transaction
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from attune_project.identity.models import Identity
from attune_project.identity.rbac import require, visible_or_404
from attune_project.packs.models import Pack
from attune_project.rest.filters import Flag, RowFilters, Texts
from attune_project.rest.views import Catalogue, Listed, RowViewSet
from executions.models import Action
from executions.starting import require_rights
from rules.api.bodies import RuleBody
from rules.api.shapes import RuleShape
from rules.changes import delete_rule, locked_rule, save_rule, set_enabled
from rules.models import Rule
from sensors.models import Trigger

ORDERING = ("created", "id", "updated", "ref", "label", "enabled", "pack_ref", "trigger_ref", "action_ref")


class RuleFilters(RowFilters):
    pack_ref = Texts("pack_ref")
    trigger_ref = Texts("trigger_ref")
    action_ref = Texts("action_ref")
    enabled = Flag("enabled")

    class Meta:
        model = Rule
        fields: list[str] = []


class RuleViews(Catalogue):
    queryset = Rule.objects.select_related("pack", "trigger", "action")
    resource = "rules"
    permission_map = {"enabled": "read", "enable": "update", "disable": "update"}
    lookup_field = "ref"
    serializer_class = RuleShape
    write_serializer_class = RuleBody
    filterset_class = RuleFilters
    ordering_fields = ORDERING

    @property
    def caller(self) -> Identity:
        assert isinstance(self.request.user, Identity)
        return self.request.user

    def make(self, serializer: Any) -> Rule:
        rule = Rule(is_adhoc=True, owner_identity=self.caller)
        rule.pack = serializer.validated_data["pack"]
        rule.pack_ref = rule.pack.ref
        rule.ref = serializer.validated_data["ref"]
        require(self.caller, "rules", "create", rule)
        return self._save(rule, serializer.validated_data)

    def change(self, row: Rule, serializer: Any) -> Rule:
        return self._save(self._locked(row), serializer.validated_data)

    def remove(self, row: Rule) -> None:
        delete_rule(self._locked(row), by=self.caller)

    @extend_schema(responses=RuleShape(many=True), operation_id="rules_enabled")
    @action(detail=False)
    def enabled(self, request: Request) -> Response:
        return self.list_rows(self.filter_queryset(self.get_queryset()).filter(enabled=True), RuleShape)

    @extend_schema(request=None, responses=RuleShape)
    @action(methods=["post"], detail=True)
    def enable(self, request: Request, ref: str) -> Response:
        return self._switch(True)

    @extend_schema(request=None, responses=RuleShape)
    @action(methods=["post"], detail=True)
    def disable(self, request: Request, ref: str) -> Response:
        return self._switch(False)

    def _switch(self, enabled: bool) -> Response:
        seen = self.get_object()
        with transaction.atomic():
            rule = self._locked(seen)
            if enabled and not rule.enabled:
                require_rights(self.caller, rule.action, rule.permission_set_refs or ())
            set_enabled(rule, enabled, by=self.caller)
        return self.show(rule)

    def _save(self, rule: Rule, values: dict[str, Any]) -> Rule:
        """Write the rule. It becomes the caller's, so its permission sets must be the caller's to lend."""
        for name, value in values.items():
            setattr(rule, name, value)
        for name in ("trigger", "action"):
            if name in values:
                setattr(rule, f"{name}_ref", values[name].ref)
        require_rights(self.caller, rule.action, rule.permission_set_refs or ())
        return save_rule(rule, by=self.caller)

    def _locked(self, row: Rule) -> Rule:
        rule = locked_rule(row.pk)
        if rule is None:
            raise NotFound("Not found.")
        return rule


class RulesOf(Listed, RowViewSet):
    """`GET /actions/{ref}/rules` and the like: the rules that name one row by its ref."""

    queryset = Rule.objects.select_related("action")
    resource = "rules"
    serializer_class = RuleShape
    filterset_class = RuleFilters
    ordering_fields = ORDERING
    parent: type[models.Model] = Pack
    parent_resource = "packs"
    parent_column = "pack_ref"

    def get_queryset(self) -> QuerySet[Rule]:
        rows: QuerySet[Rule] = super().get_queryset()
        ref = self.kwargs.get("ref")
        if ref is None:  # the OpenAPI document is being made
            return rows.none()
        parents = self.parent._default_manager.all()
        visible_or_404(self.request.user, self.parent_resource, parents, ref=ref)
        return rows.filter(**{self.parent_column: ref})


class RulesOfPack(RulesOf):
    pass


class RulesOfAction(RulesOf):
    parent = Action
    parent_resource = "actions"
    parent_column = "action_ref"


class RulesOfTrigger(RulesOf):
    parent = Trigger
    parent_resource = "triggers"
    parent_column = "trigger_ref"
