"""Admin pages of what follows: rules, enforcements, and what rules said."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import ForeignKey, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from rest_framework.exceptions import APIException

from attune_project.identity.admin_access import RbacModelAdmin
from attune_project.identity.admin_history import Created, HistoryAdmin, OfRef, json_block, link, pretty
from attune_project.identity.admin_pages import list_link
from attune_project.identity.models import Identity
from attune_project.identity.rbac import allowed, visible
from attune_project.identity.references import require_lendable
from executions.models import Action
from rules.admin_forms import RuleForm
from rules.api.params import rendered_params, shown_params
from rules.api.shapes import action_of
from rules.changes import delete_rule, locked_rule, save_rule, set_enabled
from rules.models import Enforcement, Rule, RuleEvaluation, RulesetRevision, RuleVersion

SHOWN_OF = {"pack": "packs", "trigger": "triggers", "action": "actions"}


@admin.register(Rule)
class RuleAdmin(RbacModelAdmin):
    resource = "rules"
    form = RuleForm
    list_display = ("ref", "label", "enabled", "trigger_link", "action_link", "type", "last_error", "updated")
    list_filter = ("enabled", "type", "is_adhoc", "pack_ref")
    list_select_related = ("pack",)
    search_fields = ("ref", "label")
    actions = ("enable", "disable")
    readonly_fields = (
        "is_adhoc", "owner_link", "last_error", "last_error_at", "enforcements", "versions", "created",
        "updated",
    )  # fmt: skip
    fieldsets = (
        (None, {"fields": ("ref", "pack", "label", "description", "enabled", "type")}),
        ("When", {"fields": ("trigger", "trigger_params", "conditions")}),
        ("Then", {"fields": ("action", "action_params", "permission_set_refs")}),
        ("State", {"fields": readonly_fields}),
    )

    trigger_link = link("trigger")
    action_link = link("action")
    owner_link = link("owner_identity")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:
        form = super().get_form(request, obj, change, **options)
        return type(form.__name__, (form,), {"caller": request.user})

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return self.readonly_fields if obj is None else ("ref", "pack", *self.readonly_fields)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show a reader the parameters without secrets: a form hides them, a plain page would not."""
        if obj is None or self.has_change_permission(request, obj):
            return super().get_fieldsets(request, obj)
        then = ("Then", {"fields": ("action", "parameters", "permission_set_refs")})
        return [then if name == "Then" else (name, rest) for name, rest in self.fieldsets]

    def formfield_for_foreignkey(
        self, db_field: ForeignKey[Any, Any], request: HttpRequest, **options: Any
    ) -> Any:
        """Offer only what the caller may see."""
        model = db_field.related_model
        if db_field.name in SHOWN_OF and not isinstance(model, str):
            rows = visible(request.user, SHOWN_OF[db_field.name], model._default_manager.order_by("ref"))
            options["queryset"] = rows
        return super().formfield_for_foreignkey(db_field, request, **options)

    def save_model(self, request: HttpRequest, obj: Rule, form: Any, change: bool) -> None:
        assert isinstance(request.user, Identity)
        assert obj.trigger is not None
        assert obj.action is not None
        obj.pack_ref, obj.trigger_ref, obj.action_ref = obj.pack.ref, obj.trigger.ref, obj.action.ref
        obj.is_adhoc = obj.is_adhoc if change else True
        save_rule(obj, by=request.user)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Name the rules alone: their timers, which nobody deletes by hand, go with them."""
        names = [str(rule) for rule in objs]
        return names, {"rules": len(names)}, set(), []

    def delete_model(self, request: HttpRequest, obj: Rule) -> None:
        assert isinstance(request.user, Identity)
        delete_rule(obj, by=request.user)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Rule]) -> None:
        for rule in queryset:
            self.delete_model(request, rule)

    @admin.display(description="action params")
    def parameters(self, rule: Rule) -> SafeString:
        return json_block(shown_params(rule.action, rule.action_params))

    @admin.display(description="enforcements")
    def enforcements(self, rule: Rule) -> SafeString | str:
        return list_link(Enforcement, "its enforcements", rule_ref=rule.ref) if rule.pk else "-"

    @admin.display(description="versions")
    def versions(self, rule: Rule) -> SafeString | str:
        return list_link(RuleVersion, "its versions", q=rule.ref) if rule.pk else "-"

    @admin.action(description="Enable selected rules", permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Rule]) -> None:
        switch(request, queryset, True)

    @admin.action(description="Disable selected rules", permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Rule]) -> None:
        switch(request, queryset, False)


def switch(request: HttpRequest, queryset: QuerySet[Rule], enabled: bool) -> None:
    """Enable or disable rules, as far as the caller may; the admin runs an action in one transaction."""
    assert isinstance(request.user, Identity)
    changed = 0
    for pk in list(queryset.order_by("pk").values_list("pk", flat=True)):
        rule = locked_rule(pk)
        if rule is None or rule.enabled == enabled:
            continue
        if not allowed(request.user, "rules", "update", rule):
            messages.error(request, f"{rule.ref}: Permission denied: rules:update")
            continue
        changed += _switched(request, rule, enabled, request.user)
    messages.success(request, f"{changed} rules {'enabled' if enabled else 'disabled'}.")


def _switched(request: HttpRequest, rule: Rule, enabled: bool, by: Identity) -> int:
    try:
        if enabled:
            require_lendable(by, rule.permission_set_refs or (), "permission_set_refs")
    except APIException as refused:
        messages.error(request, f"{rule.ref}: {refused.detail}")
        return 0
    set_enabled(rule, enabled, by=by)
    return 1


class OfRule(OfRef):
    title = "rule"
    parameter_name = "rule_ref"
    model = Rule
    resource = "rules"


@admin.register(Enforcement)
class EnforcementAdmin(HistoryAdmin):
    resource = "enforcements"
    list_display = ("id", "rule_link", "event_link", "status", "execution_link", "created", "resolved_at")
    list_display_links = ("id",)
    list_filter = (Created, "status", OfRule)
    search_ref = "rule_ref"
    fields = (
        "id", "event_link", "rule_link", "rule_version", "status", "execution_link", "trigger_ref",
        "condition", "conditions_map", "parameters", "trace_id", "created", "resolved_at", "updated",
    )  # fmt: skip
    readonly_fields = fields

    rule_link = link("rule")
    event_link = link("event")
    execution_link = link("execution")
    conditions_map = pretty("conditions")

    @admin.display(description="parameters")
    def parameters(self, row: Enforcement) -> SafeString:
        return json_block(rendered_params(action_of(row), row.config))


@admin.register(RuleVersion)
class RuleVersionAdmin(HistoryAdmin):
    resource = "enforcements"  # whose grants compare the ref of a rule, as a version has it
    list_display = ("id", "rule_link", "number", "revision", "changed_by", "created")
    list_select_related = ("changed_by",)
    ordering = ("-revision", "-id")
    search_ref = "rule_ref"
    fields = ("rule_link", "number", "revision", "shown_definition", "changed_by", "created")
    readonly_fields = fields

    rule_link = link("rule")

    def may(self, request: HttpRequest, what: str, row: Any = None) -> bool:
        return super().may(request, what, row) and allowed(request.user, "rules", "read")

    @admin.display(description="definition")
    def shown_definition(self, version: RuleVersion) -> SafeString:
        kept = version.definition
        named = Action.objects.filter(ref=kept.get("action_ref") or "").first()
        return json_block({**kept, "action_params": shown_params(named, kept.get("action_params") or {})})


@admin.register(RuleEvaluation)
class RuleEvaluationAdmin(HistoryAdmin):
    resource = "enforcements"
    list_display = ("id", "rule_link", "event_link", "outcome", "reason", "created")
    list_filter = ("outcome",)
    ordering = ("-id",)
    search_help_text = "The id of an event"
    fields = ("rule_link", "rule_version", "event_link", "outcome", "reason", "detail_map", "created")
    readonly_fields = fields

    rule_link = link("rule")
    event_link = link("event")
    detail_map = pretty("detail")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        found = [int(word) for word in [search_term.strip()] if word.isascii() and word.isdigit()]
        return queryset.filter(event_id__in=found) if search_term.strip() else queryset, False


@admin.register(RulesetRevision)
class RulesetRevisionAdmin(RbacModelAdmin):
    """How many changes of rules there have been."""

    resource = "workers"
    read_only = True
    list_display = ("id", "revision")
    ordering = ("id",)
