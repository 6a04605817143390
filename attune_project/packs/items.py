"""What a pack may hold: each app registers how its kind of item is loaded, in `AppConfig.ready()`.

The loader knows folders and files; only the app that owns a table knows what a good row of it is.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attune_project.identity.models import Identity

from .keys import Keys
from .models import Pack

# Later kinds name earlier ones: a rule its trigger and its action.
ORDER = ("permission_sets", "runtimes", "triggers", "actions", "queues", "rules", "sensors", "workflows")


@dataclass(frozen=True)
class Item:
    """One file of a pack, read: `values` by column, `ref` with its pack."""

    pack: Pack
    ref: str
    values: Mapping[str, Any]
    folder: Path
    by: Identity | None = None  # whose rights it may not exceed; None: the operator at the machine

    @property
    def columns(self) -> dict[str, Any]:
        """Return what every row of a pack carries beside the file's own keys."""
        return {"ref": self.ref, "pack_id": self.pack.pk, "pack_ref": self.pack.ref, **self.values}


@dataclass(frozen=True)
class Kind:
    """One folder of packs.

    `load` stores an item and returns remarks about it (it is loaded all the same), or raises ItemError.
    `rows` are the pack's own rows with a `ref`; `remove` deletes one of them by the verb of its app.
    """

    folder: str
    keys: Keys
    load: Callable[[Item], Iterable[str] | None]
    rows: Callable[[Pack], Iterable[Any]]
    remove: Callable[[Any, Identity | None], None]


_kinds: dict[str, Kind] = {}


def register(kind: Kind) -> None:
    assert kind.folder in ORDER, kind.folder
    _kinds[kind.folder] = kind


def kinds() -> list[Kind]:
    """Return the kinds in the order in which they are loaded."""
    return [_kinds[folder] for folder in ORDER if folder in _kinds]


def store(row: Any, values: Mapping[str, Any], save: Callable[[Any], Any] | None = None) -> bool:
    """Write the values that differ, by `save` or the row's own; return whether there were any.

    A row that has them all is left alone: a reload of an unchanged pack writes nothing.
    """
    changed = {name: value for name, value in values.items() if not _same(getattr(row, name), value)}
    if row.pk is not None and not changed:
        return False
    for name, value in changed.items():
        setattr(row, name, value)
    if save is None:
        row.save()
    else:
        save(row)
    return True


def _same(stored: Any, given: Any) -> bool:
    """Compare as JSON, where true isn't 1."""
    return stored == given and json.dumps(stored, sort_keys=True) == json.dumps(given, sort_keys=True)
