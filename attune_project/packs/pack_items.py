"""How a pack's runtimes and permission sets are loaded."""

from collections.abc import Iterable, Mapping
from typing import Any

from attune_project.identity.grants import readable
from attune_project.identity.models import Identity, PermissionSet
from attune_project.identity.permission_sets import PermissionSetError, save_permission_set
from attune_project.identity.rbac import holds

from . import keys
from .items import Item, Kind, store
from .keys import ItemError, Key
from .models import Pack, Runtime

RUNTIME_KEYS = {
    "name": Key(keys.text, required=True),
    "aliases": Key(keys.texts, default=list),
    "description": Key(keys.text),
    "distributions": Key(keys.mapping, default=dict),
    "execution_config": Key(keys.mapping, default=dict),
}
PERMISSION_SET_KEYS = {
    "label": Key(keys.text),
    "description": Key(keys.text),
    "grants": Key(keys.sequence, default=list),
}


def load_runtime(item: Item) -> None:
    row = Runtime.objects.filter(ref=item.ref).first() or Runtime()
    store(row, item.columns)


def load_permission_set(item: Item) -> None:
    row = PermissionSet.objects.filter(ref=item.ref).first()
    if row is not None and all(getattr(row, name) == value for name, value in item.values.items()):
        return
    refuse_escalation("grants", [item.values["grants"]], item.by)
    try:
        save_permission_set(item.pack, {"ref": item.ref, **item.values})
    except PermissionSetError as error:
        keys.refuse("", error.details)


def refuse_escalation(path: str, wanted: Iterable[Any], by: Identity | None) -> None:
    """Refuse that a person's pack hands out grants which the person doesn't hold."""
    if by is not None and not all(holds(by, readable(grants)) for grants in wanted):
        raise ItemError(path, "Permission denied: permissions:assign")


def named_permission_sets(path: str, refs: Iterable[str] | None, by: Identity | None) -> None:
    """Refuse permission sets that aren't there or that the person may not hand out."""
    wanted = list(refs or ())
    known = dict(PermissionSet.objects.filter(ref__in=wanted).values_list("ref", "grants")) if wanted else {}
    for index, ref in enumerate(wanted):
        if ref not in known:
            raise ItemError(f"{path}[{index}]", f"no permission set {ref!r}")
    refuse_escalation(path, known.values(), by)


def runtime_named(name: str, pack: str) -> Runtime:
    """Return a runtime by its ref or an alias; raise ItemError that names the known ones."""
    known = list(Runtime.objects.order_by("id"))
    by_ref: Mapping[str, Runtime] = {runtime.ref: runtime for runtime in known}
    found = by_ref.get(keys.qualified(name, pack)) or _by_alias(name, known)
    if found is None:
        raise ItemError("runner_type", f"no runtime {name!r}; one of {', '.join(sorted(by_ref))}")
    return found


def _by_alias(name: str, known: list[Runtime]) -> Runtime | None:
    return next((runtime for runtime in known if name in runtime.aliases), None)


def _remove(row: Any, by: Identity | None) -> None:
    row.delete()


def _runtimes(pack: Pack) -> Iterable[Runtime]:
    return Runtime.objects.filter(pack=pack)


def _permission_sets(pack: Pack) -> Iterable[PermissionSet]:
    return PermissionSet.objects.filter(pack_ref=pack.ref)


RUNTIMES = Kind("runtimes", RUNTIME_KEYS, load_runtime, _runtimes, _remove)
PERMISSION_SETS = Kind("permission_sets", PERMISSION_SET_KEYS, load_permission_set, _permission_sets, _remove)
