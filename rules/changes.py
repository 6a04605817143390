"""Change rules: every change is a version, a new revision of the rule set, and its timer, at once."""

from typing import Any

from django.db import connection, transaction

from attune_project.identity.models import Identity
from rules.models import Rule, RuleVersion
from sensors import timers


def save_rule(rule: Rule, *, by: Identity | None = None) -> Rule:
    """Insert or update a rule in the caller's transaction, with its version and its timer.

    The caller has validated it. A change by another identity makes the rule theirs.
    """
    with transaction.atomic():
        revision = next_revision()
        if by is not None:
            rule.owner_identity = by
        rule.last_error = rule.last_error_at = None
        rule.save()
        _write_version(rule, revision, by)
        _plan(rule)
    return rule


def locked_rule(rule_id: int) -> Rule | None:
    """Return a rule as it is now, to be changed in the caller's transaction; None when it is gone.

    The lock is that of the rule set, which every change takes first: two changes of one rule follow each
    other, and neither undoes the other by writing what it had read before.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM ruleset_revision WHERE id = 1 FOR UPDATE")
    return Rule.objects.select_related("pack", "trigger", "action").filter(pk=rule_id).first()


def set_enabled(rule: Rule, enabled: bool, *, by: Identity | None = None) -> Rule:
    """Enable or disable a rule; a rule that is so already stays untouched."""
    if rule.enabled != enabled:
        rule.enabled = enabled
        save_rule(rule, by=by)
    return rule


def delete_rule(rule: Rule, *, by: Identity | None = None) -> None:
    """Delete a rule and its timer; its versions and history stay."""
    with transaction.atomic():
        revision = next_revision()
        rule.enabled = False
        _write_version(rule, revision, by)
        timers.disarm(rule.pk)
        rule.delete()


def next_revision() -> int:
    """Lock the counter row and count: changes of rules are ordered by it."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE ruleset_revision SET revision = revision + 1 WHERE id = 1 RETURNING revision")
        return int(cursor.fetchone()[0])


def definition_of(rule: Rule) -> dict[str, Any]:
    """Return what decides: the part of a rule that a version keeps."""
    return {
        "trigger_ref": rule.trigger_ref,
        "action_ref": rule.action_ref,
        "conditions": rule.conditions,
        "action_params": rule.action_params,
        "trigger_params": rule.trigger_params,
        "permission_set_refs": rule.permission_set_refs,
        "enabled": rule.enabled,
        "type": rule.type,
    }


def _write_version(rule: Rule, revision: int, by: Identity | None) -> None:
    last = RuleVersion.objects.filter(rule_id=rule.pk).order_by("-number").values_list("number", flat=True)
    RuleVersion.objects.create(
        rule_id=rule.pk,
        rule_ref=rule.ref,
        number=(last.first() or 0) + 1,
        revision=revision,
        definition=definition_of(rule),
        changed_by=by,
    )


def _plan(rule: Rule) -> None:
    if rule.enabled:
        timers.arm(rule.pk, rule.trigger_ref, rule.trigger_params)
    else:
        timers.disarm(rule.pk)
