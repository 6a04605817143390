"""Load a pack's folder: all in one transaction, a bad item skipped whole and named.

Loading again brings the rows to what the files say: unchanged ones aren't touched, vanished ones go, ad-hoc
ones (made through the API) stay. What an operator sets on a row (`enabled`, `config`) stays his.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.db import DataError, IntegrityError, transaction

from attune_project.identity.models import Identity

from . import keys, manifest
from .documents import Document, DocumentError, read
from .items import Item, Kind, kinds, store
from .keys import ItemError
from .manifest import PackError
from .models import Pack

__all__ = ["PackError", "Report", "Warning", "load_pack"]

SUFFIXES = (".yaml", ".yml")
NOT_BUILT = {
    "queues": "work queues aren't built yet: its files aren't loaded",
    "workflows": "workflows aren't built yet: its files aren't loaded",
}


@dataclass(frozen=True)
class Warning:
    """What was skipped or looks wrong; `file` is relative to the pack's folder."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


@dataclass
class Report:
    """What loading a pack did, in refs by folder."""

    pack_ref: str
    loaded: dict[str, list[str]] = field(default_factory=dict)
    deleted: dict[str, list[str]] = field(default_factory=dict)
    warnings: list[Warning] = field(default_factory=list)


@transaction.atomic
def load_pack(folder: Path, *, owner: Identity | None = None) -> Report:
    """Load or reload the pack in a folder; raise PackError, with nothing loaded, when its pack.yaml is bad.

    `owner` is the person whose rights the content may not exceed; None is the operator at the machine,
    who alone may make a pack standard.
    """
    folder = folder.resolve()
    document, columns = manifest.read_manifest(folder)
    report = Report(columns["ref"])
    for name in keys.unknown(manifest.KEYS, document.values):
        report.warnings.append(Warning(manifest.NAME, document.line(name), f"unknown key {name!r}"))
    if owner is not None and columns.pop("is_standard"):
        reason = "system: left out; only packs of the installation itself are standard"
        report.warnings.append(Warning(manifest.NAME, document.line("system"), reason))
    pack = _save_pack(columns, folder, owner)
    loads = [_Load(pack, folder, kind, report, owner) for kind in kinds()]
    for load in loads:
        load.load_files()
    for load in reversed(loads):
        load.delete_vanished()
    report.warnings += _not_built(folder)
    return report


def _save_pack(columns: dict[str, Any], folder: Path, owner: Identity | None) -> Pack:
    """Store the pack's row and lock it, so that two loads of one pack take turns.

    The lock leaves alone who only points at the pack: a rule that is being saved holds the counter of rules,
    which this load will want.
    """
    new = {name: columns[name] for name in ("label", "version")} | {"owner": owner}
    pack, _ = Pack.objects.select_for_update(no_key=True).get_or_create(ref=columns["ref"], defaults=new)
    columns["config"] = {**columns["config"], **pack.config}
    store(pack, {**columns, "storage_path": str(folder), "checksum": checksum(folder)})
    return pack


def checksum(folder: Path) -> str:
    """Return the SHA-256 of the names and contents of the pack's files."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if _counts(path.relative_to(folder)) and path.is_file():
            total.update(os.fsencode(path.relative_to(folder)) + f"\0{path.stat().st_size}\0".encode())
            with path.open("rb") as file:
                while chunk := file.read(1 << 20):
                    total.update(chunk)
    return total.hexdigest()


def _counts(path: Path) -> bool:
    return "__pycache__" not in path.parts and not any(part.startswith(".") for part in path.parts)


def _not_built(folder: Path) -> Iterator[Warning]:
    for name, reason in NOT_BUILT.items():
        if (folder / name).is_dir() and name not in {kind.folder for kind in kinds()}:
            yield Warning(name, 1, reason)


class _Load:
    """One folder of a pack on its way into its table."""

    def __init__(self, pack: Pack, folder: Path, kind: Kind, report: Report, owner: Identity | None) -> None:
        self.pack, self.folder, self.kind, self.report, self.owner = pack, folder, kind, report, owner
        self.seen: dict[str, str] = {}
        self.unreadable = ""  # a file that names an item which nobody can read

    def load_files(self) -> None:
        for path in sorted((self.folder / self.kind.folder).glob("*")):
            if path.suffix in SUFFIXES:
                self._load_file(path)

    def delete_vanished(self) -> None:
        """Delete what no file names any more; an unreadable file may be the one that does."""
        own = [row for row in self.kind.rows(self.pack) if not getattr(row, "is_adhoc", False)]
        gone = [row for row in own if row.ref not in self.seen]
        if gone and self.unreadable:
            refs = ", ".join(row.ref for row in gone)
            return self._warn(self.unreadable, 1, f"may be one of {refs}: so none of them was deleted")
        for row in gone:
            self.report.deleted.setdefault(self.kind.folder, []).append(row.ref)
            self.kind.remove(row, self.owner)
        return None

    def _load_file(self, path: Path) -> None:
        name = f"{self.kind.folder}/{path.name.encode(errors='replace').decode()}"
        try:
            document = self._read(path)
        except DocumentError as error:
            self.unreadable = name
            return self._warn(name, error.line, error.reason)
        if document.values.get("ref") is None:  # no item; or the one that its name says, until it is mended
            self.seen.setdefault(f"{self.pack.ref}.{path.stem}", name)
            return self._warn(name, 1, "ref: is required")
        try:
            ref = keys.own_ref("ref", document.values["ref"], self.pack.ref)
        except ItemError as error:
            self.unreadable = name
            return self._warn(name, document.line("ref"), str(error))
        return self._load_document(name, document, ref)

    def _read(self, path: Path) -> Document:
        if not path.resolve().is_relative_to(self.folder):
            raise DocumentError("a link that leaves the pack's folder")
        return read(path)

    def _load_document(self, name: str, document: Document, ref: str) -> None:
        if ref in self.seen:
            return self._warn(name, document.line("ref"), f"ref: {ref} is also in {self.seen[ref]}")
        self.seen[ref] = name
        try:
            with transaction.atomic():
                remarks = list(self._store(document, ref))
        except ItemError as error:
            return self._warn(name, document.line(error.path), str(error))
        except (DataError, IntegrityError) as error:
            return self._warn(name, 1, f"the database refuses it: {str(error).splitlines()[0]}")
        self.report.loaded.setdefault(self.kind.folder, []).append(ref)
        for remark in remarks:
            self._warn(name, document.line(remark.partition(":")[0]), remark)
        for key in keys.unknown(self._keys(), document.values):
            self._warn(name, document.line(key), f"unknown key {key!r}")
        return None

    def _store(self, document: Document, ref: str) -> list[str]:
        values = keys.take(self.kind.keys, document.values)
        return list(self.kind.load(Item(self.pack, ref, values, self.folder, self.owner)) or ())

    def _keys(self) -> dict[str, keys.Key]:
        return {"ref": keys.Key(keys.text), **self.kind.keys}

    def _warn(self, file: str, line: int, reason: str) -> None:
        self.report.warnings.append(Warning(file, line, reason))
