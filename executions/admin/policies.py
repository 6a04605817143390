"""Admin pages of policies: who may start, and who holds what."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Count, ForeignKey, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminTextInputWidget

from attune_project.identity.admin_access import RbacModelAdmin
from attune_project.identity.admin_history import link
from attune_project.identity.admin_pages import list_link
from attune_project.identity.models import Identity
from attune_project.identity.rbac import allowed, visible
from attune_project.packs.models import Pack
from executions.models import Action, Execution, Policy, PolicyGroup, PolicySlot, PolicyStamp
from executions.policies.changes import delete_policy, save_policy
from executions.policies.problems import problems_of, ref_problem

LINES = ("ref", "action_ref", "label", "description", "parameters")
SCOPE = ("ref", "pack", "action_ref")
LIMITS = (
    "method", "threshold", "parameters", "rate_limit", "rate_seconds", "max_queue_length", "max_queue_age",
)  # fmt: skip


class PolicyForm(forms.ModelForm):
    """A policy to be made or changed, judged as the API judges it; its scope is fixed once it is made."""

    caller: Identity  # set by the page

    class Meta:
        model = Policy
        fields = (*SCOPE, "label", "description", "enabled", *LIMITS)
        help_texts = {
            "pack": "None, and no action: it holds for all.",
            "action_ref": "None: it holds for every action of the pack.",
            "parameters": "Their values make the groups, each with slots of its own; names with commas.",
            "threshold": "How many of a group may be under way at once.",
            "rate_limit": "Starts per group within the seconds below.",
            "max_queue_age": "Seconds; what waits longer is cancelled.",
        }

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for name in LINES:
            if name in self.fields:
                self.fields[name].widget = UnfoldAdminTextInputWidget()

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        for name in ("action_ref", "label", "description"):
            values[name] = values.get(name) or None
        if not self.errors:
            if self.instance.pk is None:
                self._place(values)
            for name, texts in problems_of(values).items():
                self.add_error(name, [ValidationError(text) for text in texts])
        return values

    def _place(self, values: dict[str, Any]) -> None:
        if values["action_ref"]:
            seen = visible(self.caller, "actions", Action.objects.select_related("pack"))
            action = seen.filter(ref=values["action_ref"]).first()
            if action is None or (values["pack"] or action.pack) != action.pack:
                self.add_error("action_ref", "There is no such action in the pack.")
                return
            values["pack"] = action.pack
        problem = ref_problem(values["ref"])
        if problem:
            self.add_error("ref", problem)
            return
        pack = values["pack"]
        new = Policy(ref=values["ref"], pack=pack, pack_ref=pack.ref if pack else None)
        if not allowed(self.caller, "policies", "create", new):
            self.add_error("pack", "Permission denied: policies:create")


@admin.register(Policy)
class PolicyAdmin(RbacModelAdmin):
    resource = "policies"
    form = PolicyForm
    list_display = ("ref", "label", "enabled", "scope", "method", "threshold", "queues", "updated")
    list_filter = ("enabled", "method", "pack_ref")
    list_select_related = ("pack",)
    search_fields = ("ref", "label", "action_ref")
    readonly_fields = ("queues", "executions", "is_adhoc", "created", "updated")
    fieldsets = (
        (None, {"fields": (*SCOPE, "label", "description", "enabled")}),
        ("Limits", {"fields": LIMITS}),
        ("State", {"fields": readonly_fields}),
    )

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:
        form = super().get_form(request, obj, change, **options)
        return type(form.__name__, (form,), {"caller": request.user})

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return self.readonly_fields if obj is None else (*SCOPE, *self.readonly_fields)

    def formfield_for_foreignkey(
        self, db_field: ForeignKey[Any, Any], request: HttpRequest, **options: Any
    ) -> Any:
        """Offer only the packs that the caller may see."""
        options["queryset"] = visible(request.user, "packs", Pack.objects.order_by("ref"))
        return super().formfield_for_foreignkey(db_field, request, **options)

    def save_model(self, request: HttpRequest, obj: Policy, form: Any, change: bool) -> None:
        obj.pack_ref = obj.pack.ref if obj.pack else None
        save_policy(obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Name the policies alone: their groups and slots, which nobody deletes by hand, go with them."""
        names = [str(policy) for policy in objs]
        return names, {"policies": len(names)}, set(), []

    def delete_model(self, request: HttpRequest, obj: Policy) -> None:
        delete_policy(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Policy]) -> None:
        for policy in queryset:
            delete_policy(policy)

    @admin.display(description="scope")
    def scope(self, policy: Policy) -> str:
        return policy.action_ref or policy.pack_ref or "all actions"

    @admin.display(description="queues")
    def queues(self, policy: Policy) -> SafeString | str:
        return list_link(PolicyGroup, "its queues", policy__id__exact=policy.pk) if policy.pk else "-"

    @admin.display(description="executions")
    def executions(self, policy: Policy) -> SafeString | str:
        if policy.pk is None:
            return "-"
        return list_link(PolicySlot, "those that hold its slots", policy__id__exact=policy.pk)


class OfPolicyAdmin(RbacModelAdmin):
    """Base of pages of what belongs to a policy: seen by who may see the policy, and never changed."""

    resource = "policies"
    read_only = True
    list_select_related = ("policy",)
    sortable_by = ()
    list_filter = ("policy",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        policies = visible(request.user, "policies", Policy.objects.order_by())
        rows: QuerySet[Any] = self.model._default_manager.filter(policy__in=policies.values("pk"))
        return rows.select_related("policy").order_by(*self.ordering or ())

    def may(self, request: HttpRequest, what: str, row: Any = None) -> bool:
        return super().may(request, what, row and row.policy)

    @admin.display(description="policy")
    def policy_link(self, row: Any) -> SafeString:
        return list_link(Policy, row.policy.ref, q=row.policy.ref)


@admin.register(PolicyGroup)
class PolicyGroupAdmin(OfPolicyAdmin):
    """A queue of a policy, with how many hold a slot there and how many wait."""

    list_display = ("id", "policy_link", "group_key", "holding", "queued", "window_count", "last_admitted_at")
    ordering = ("-id",)
    fields = (
        "policy_link", "group_key", "holding", "queued", "window_started_at", "window_count",
        "last_admitted_at", "created", "updated",
    )  # fmt: skip
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        slots = PolicySlot.objects.filter(policy=OuterRef("policy"), group_key=OuterRef("group_key"))
        waiting = Execution.objects.filter(
            Q(policy=OuterRef("policy"), policy_group=OuterRef("group_key"), queued_at__isnull=False),
            status="requested",
        )
        rows = super().get_queryset(request)
        counted: QuerySet[Any] = rows.annotate(held=_counted(slots), waits=_counted(waiting))
        return counted

    @admin.display(description="holding")
    def holding(self, row: Any) -> int:
        return int(row.held)

    @admin.display(description="waiting")
    def queued(self, row: Any) -> int:
        return int(row.waits)


@admin.register(PolicySlot)
class PolicySlotAdmin(OfPolicyAdmin):
    list_display = ("id", "policy_link", "group_key", "execution_link", "created")
    ordering = ("-id",)
    fields = ("policy_link", "group_key", "execution_link", "created")
    readonly_fields = fields

    execution_link = link("execution")


def _counted(rows: QuerySet[Any]) -> Coalesce:
    """Return a count of rows of another table as a column."""
    count = rows.order_by().values("policy").annotate(number=Count("pk")).values("number")
    return Coalesce(Subquery(count), Value(0))


@admin.register(PolicyStamp)
class PolicyStampAdmin(RbacModelAdmin):
    """Which change of policies is in force, and whether what waits was looked through since."""

    resource = "workers"
    read_only = True
    list_display = ("stamp", "resolved", "resolved_upto", "updated")
    ordering = ("id",)
