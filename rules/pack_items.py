"""How a pack's rules are loaded: through the same verbs as any other change of a rule."""

from collections.abc import Iterable
from typing import Any

from attune_project.identity.models import Identity
from attune_project.packs import keys
from attune_project.packs.items import Item, Kind, store
from attune_project.packs.keys import ItemError, Key
from attune_project.packs.models import Pack
from attune_project.packs.pack_items import named_permission_sets
from executions.models import Action
from rules.changes import delete_rule, save_rule
from rules.models import Rule, RuleType
from rules.problems import problems_of
from sensors.models import Trigger

KEYS = {
    "label": Key(keys.text, required=True),
    "description": Key(keys.text),
    "trigger_ref": Key(keys.text, required=True),
    "action_ref": Key(keys.text, required=True),
    "conditions": Key(keys.anything, default=dict),
    "action_params": Key(keys.mapping, default=dict),
    "trigger_params": Key(keys.mapping, default=dict),
    "permission_set_refs": Key(keys.texts),
    "enabled": Key(keys.flag, default=True),
    "type": Key(keys.one_of(RuleType.values), default=RuleType.STANDARD.value),
}


def load_rule(item: Item) -> None:
    """Store a rule; whether it is on is the operator's after the first load.

    Nobody becomes the owner of a pack's rule: it reads keys with the rights of its pack.
    """
    row = Rule.objects.filter(ref=item.ref).first() or Rule()
    if row.pk is not None and row.is_adhoc:
        raise ItemError("ref", f"{row.ref} was made through the API; delete it there first")
    columns = item.columns
    if row.pk is not None:
        columns.pop("enabled")
    trigger = _trigger(columns.pop("trigger_ref"), item.pack.ref)
    action = _action(columns.pop("action_ref"), item.pack.ref)
    columns["conditions"] = columns["conditions"] or {}
    _refuse_problems(trigger, action, columns)
    named_permission_sets("permission_set_refs", columns["permission_set_refs"], item.by)
    named = {"trigger_id": trigger.pk, "trigger_ref": trigger.ref}
    named |= {"action_id": action.pk, "action_ref": action.ref}
    store(row, {**columns, **named}, save_rule)


def _refuse_problems(trigger: Trigger, action: Action, columns: dict[str, Any]) -> None:
    params = {name: columns[name] for name in ("conditions", "action_params", "trigger_params")}
    keys.refuse("", problems_of(trigger, action, **params))


def _trigger(ref: str, pack: str) -> Trigger:
    trigger = Trigger.objects.filter(ref=keys.qualified(ref, pack)).first()
    if trigger is None:
        raise ItemError("trigger_ref", f"no trigger {keys.qualified(ref, pack)!r}")
    return trigger


def _action(ref: str, pack: str) -> Action:
    action = Action.objects.filter(ref=keys.qualified(ref, pack)).first()
    if action is None:
        raise ItemError("action_ref", f"no action {keys.qualified(ref, pack)!r}")
    return action


def _rows(pack: Pack) -> Iterable[Rule]:
    return Rule.objects.filter(pack=pack)


def _remove(row: Rule, by: Identity | None) -> None:
    delete_rule(row, by=by)


RULES = Kind("rules", KEYS, load_rule, _rows, _remove)
