"""The constraints of grants, each twice: as SQL for lists, in Python for one row. A test holds them equal."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_
from typing import Any

from django.db.models import F, Model, Q, Value
from django.db.models.functions import Coalesce
from django.db.models.lookups import Exact

from .grants import Grant
from .models import Identity
from .resources import Columns
from .runs import with_descendants

NOBODY = 0  # no identity has this id; it stands for "no owner"
EVERY_ROW = Q(pk__isnull=False)
PUBLIC = "public"


@dataclass(frozen=True)
class Constraint:
    """`condition` is None where the resource has nothing to compare with: then the grant fails."""

    condition: Callable[[Any, Columns], Q | None]
    fits: Callable[[Any, Columns, Model], bool]


def condition_of(grant: Grant, columns: Columns, identity: Identity) -> Q | None:
    """Return the grant's rows as SQL; None when it has none."""
    parts = [_owner_condition(grant.owner, columns, identity), _scope_condition(grant, columns, identity)]
    for name, value in grant.constraints.items():
        if name in CONSTRAINTS:
            parts.append(CONSTRAINTS[name].condition(value, columns))
    present = [part for part in parts if part is not None]
    return reduce(and_, present) if len(present) == len(parts) else None


def fits(grant: Grant, columns: Columns, identity: Identity, row: Model) -> bool:
    """Judge one row in Python; a related pack should be selected with it, or costs a query each."""
    return (
        _owner_fits(grant.owner, columns, identity, row)
        and _scope_fits(grant, columns, identity, row)
        and all(
            CONSTRAINTS[name].fits(value, columns, row)
            for name, value in grant.constraints.items()
            if name in CONSTRAINTS
        )
    )


def is_unbounded(grant: Grant, columns: Columns) -> bool:
    """Tell a grant that means every row of the resource: then no condition need be written at all."""
    everyone = grant.owner == "any" or (grant.owner is None and not columns.owners)
    return everyone and grant.constraints.keys() <= {"owner"}


def _owner_ids(wanted: str | None, identity: Identity) -> tuple[int, ...]:
    return {"self": (identity.pk,), "none": (NOBODY,)}.get(wanted or "", (identity.pk, NOBODY))


def _owner_condition(wanted: str | None, columns: Columns, identity: Identity) -> Q | None:
    if wanted == "any":
        return EVERY_ROW
    if not columns.owners:
        return None if wanted == "self" else EVERY_ROW
    owner = Coalesce(*(F(path) for path in columns.owners), Value(NOBODY))
    whose = reduce(or_, (Q(Exact(owner, who)) for who in _owner_ids(wanted, identity)))
    return whose | Q(**{f"{columns.visibility}": PUBLIC}) if columns.shows_public else whose


def _owner_fits(wanted: str | None, columns: Columns, identity: Identity, row: Model) -> bool:
    if wanted == "any":
        return True
    if not columns.owners:
        return wanted != "self"
    if columns.shows_public and _value(row, columns.visibility or "") == PUBLIC:
        return True
    owners = [owner for path in columns.owners if (owner := _value(row, path)) is not None]
    return (owners[0] if owners else NOBODY) in _owner_ids(wanted, identity)


def _scope_ids(scope: str, identity: Identity) -> list[int]:
    if identity.run is None:
        return []
    own = identity.run.execution_id
    return [own] if scope == "self" else with_descendants(own)


def _scope_condition(grant: Grant, columns: Columns, identity: Identity) -> Q | None:
    if grant.scope == "any":
        return EVERY_ROW
    return Q(**{f"{columns.execution}__in": _scope_ids(grant.scope, identity)}) if columns.execution else None


def _scope_fits(grant: Grant, columns: Columns, identity: Identity, row: Model) -> bool:
    if grant.scope == "any":
        return True
    return columns.execution is not None and _value(row, columns.execution) in _scope_ids(
        grant.scope, identity
    )


def _pack_condition(refs: list[str], columns: Columns) -> Q | None:
    if columns.pack:
        return Q(**{f"{columns.pack}__in": refs})
    if columns.pack_of:
        return reduce(or_, (Q(**{f"{columns.pack_of}__startswith": f"{ref}."}) for ref in refs))
    return None


def _pack_fits(refs: list[str], columns: Columns, row: Model) -> bool:
    if columns.pack:
        return _value(row, columns.pack) in refs
    return columns.pack_of is not None and str(_value(row, columns.pack_of)).partition(".")[0] in refs


def _member_of(column: str) -> Constraint:
    """Compare a list with the column that the resource names under `column`."""

    def condition(values: list[str], columns: Columns) -> Q | None:
        path = getattr(columns, column)
        return Q(**{f"{path}__in": values}) if path else None

    def member(values: list[str], columns: Columns, row: Model) -> bool:
        path = getattr(columns, column)
        return path is not None and _value(row, path) in values

    return Constraint(condition, member)


def _flag(column: str) -> Constraint:
    """Compare a flag with the column that the resource names under `column`."""

    def condition(value: bool, columns: Columns) -> Q | None:
        path = getattr(columns, column)
        return Q(**{path: value}) if path else None

    def same(value: bool, columns: Columns, row: Model) -> bool:
        path = getattr(columns, column)
        return path is not None and _value(row, path) is value

    return Constraint(condition, same)


def _value(row: Any, path: str) -> Any:
    for name in path.split("__"):
        row = getattr(row, name, None)
    return row


# What hangs on who asks, the owner and the execution's scope, is judged above.
CONSTRAINTS = {
    "ids": Constraint(lambda ids, columns: Q(pk__in=ids), lambda ids, columns, row: row.pk in ids),
    "refs": _member_of("ref"),
    "pack_refs": Constraint(_pack_condition, _pack_fits),
    "owner_types": _member_of("owner_type"),
    "visibility": _member_of("visibility"),
    "owner_refs": _member_of("owner_ref"),
    "encrypted": _flag("encrypted"),
    "standard": _flag("standard"),
}
