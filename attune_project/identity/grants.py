"""Grants: who may do what to which rows. Pure: no database, no Django."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

RESOURCES = (
    "packs", "actions", "workflows", "queues", "rules", "triggers", "sensors", "executions", "events",
    "enforcements", "inquiries", "keys", "artifacts", "runtimes", "workers", "policies", "retention",
    "identities", "permissions", "audit_log",
)  # fmt: skip
ACTIONS = (
    "read", "create", "install", "configure", "update", "delete", "execute", "cancel", "respond", "manage",
    "decrypt",
)  # fmt: skip
CONSTRAINTS = {
    "pack_refs": list,
    "refs": list,
    "ids": list,
    "owner": str,
    "owner_types": list,
    "owner_refs": list,
    "encrypted": bool,
    "visibility": list,
    "standard": bool,
    "execution_scope": str,
}
SCOPES = ("self", "descendants", "any")
OWNERS = ("self", "none", "any")


@dataclass(frozen=True)
class Grant:
    """The right to do `actions` to those rows of `resource` that meet every constraint."""

    resource: str
    actions: frozenset[str]
    constraints: Mapping[str, Any] = field(default_factory=dict)

    def covers(self, resource: str, action: str) -> bool:
        """Tell whether some row could be meant."""
        return self.resource in (resource, "*") and not self.actions.isdisjoint((action, "*"))

    @property
    def owner(self) -> str | None:
        """Whose rows: `self`, `none`, `any`; None means the caller's and nobody's."""
        return self.constraints.get("owner")

    @property
    def scope(self) -> str:
        """Whose executions: of a run's token `self` is its own, `descendants` are those below it, too."""
        return str(self.constraints.get("execution_scope", "any"))


def _constraint_problems(name: str, value: Any) -> list[str]:
    kind = CONSTRAINTS.get(name)
    if kind is None:
        return [f"unknown constraint {name!r}; known: {', '.join(CONSTRAINTS)}"]
    if not isinstance(value, kind) or value == []:
        return [f"{name}: expected {'a list with members' if kind is list else kind.__name__}"]
    if name == "owner" and value not in OWNERS:
        return [f"owner: expected one of {', '.join(OWNERS)}"]
    if name == "execution_scope" and value not in SCOPES:
        return [f"execution_scope: expected one of {', '.join(SCOPES)}"]
    return _member_problems(name, value) if isinstance(value, list) else []


def _member_problems(name: str, members: list[Any]) -> list[str]:
    kind = int if name == "ids" else str
    bad = [member for member in members if not isinstance(member, kind) or isinstance(member, bool)]
    return [f"{name}: {bad[0]!r} isn't {'an id' if kind is int else 'a ref'}"] if bad else []


def readable(raw: Any) -> list[Grant]:
    """Return the grants that can be judged here; one that can't grants nothing."""
    entries = raw if isinstance(raw, list) else []
    return [_grant_from(entry) for entry in entries if not _entry_problems(entry)]


def _grant_from(raw: Mapping[str, Any]) -> Grant:
    return Grant(raw["resource"], frozenset(raw["actions"]), dict(raw.get("constraints") or {}))


def check_grants(raw: Any) -> dict[str, list[str]]:
    """Return what is wrong with a permission set's grants, by path; nothing wrong is empty."""
    if not isinstance(raw, list):
        return {"grants": ["expected a list"]}
    found: dict[str, list[str]] = {}
    for index, entry in enumerate(raw):
        texts = _entry_problems(entry)
        if texts:
            found[f"grants[{index}]"] = texts
    return found


def _entry_problems(entry: Any) -> list[str]:
    if not isinstance(entry, dict):
        return ["expected {resource, actions, constraints?}"]
    texts = []
    if entry.get("resource") not in (*RESOURCES, "*"):
        texts.append(f"unknown resource {entry.get('resource')!r}")
    actions = entry.get("actions")
    if not isinstance(actions, list) or not actions:
        texts.append("actions: expected a list with members")
    else:
        texts += [f"unknown action {action!r}" for action in actions if action not in (*ACTIONS, "*")]
    constraints = entry.get("constraints", {})
    if constraints is None:
        constraints = {}
    if not isinstance(constraints, dict):
        return [*texts, "constraints: expected a map"]
    return texts + [text for name, value in constraints.items() for text in _constraint_problems(name, value)]


# What every identity may do without any permission set.
BASE_GRANTS = tuple(
    Grant(resource, frozenset({"read"}), {"standard": True, "owner": "any"})
    for resource in ("packs", "actions", "triggers", "runtimes")
)
