"""Install packs that people send: unpack, put in place, load; or nothing at all."""

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from django.conf import settings

from attune_project.identity.models import Identity
from attune_project.identity.rbac import require

from .archive import ArchiveError, pack_folder, unpack
from .items import store
from .loader import Report, load_pack
from .manifest import PackError, read_manifest
from .models import Pack
from .removal import CORE, UPLOAD

__all__ = ["ArchiveError", "OutsidePacks", "PackError", "PackExists", "install_archive", "register_folder"]

REGISTER = "register"


class PackExists(ValueError):
    """A pack that is there already and wasn't to be replaced."""


class OutsidePacks(ValueError):
    """A folder that isn't one of the packs folder's."""


def install_archive(archive: IO[bytes], *, by: Identity, force: bool = False) -> Report:
    """Install a tar.gz into the packs folder.

    Raise ArchiveError, PackError or PackExists, or 403; then everything is as it was.
    """
    packs = _packs_folder()
    with tempfile.TemporaryDirectory(prefix=".incoming-", dir=packs) as temporary:
        unpacked = Path(temporary) / "pack"
        unpacked.mkdir(mode=0o755)
        unpack(archive, unpacked)
        folder = pack_folder(unpacked)
        ref = _ref_of(folder)
        with _alone(packs):
            _may_install(ref, by, force, packs / ref)
            with _placed(folder, packs / ref, Path(temporary) / "before"):
                return _load(packs / ref, UPLOAD, by)


def register_folder(path: str, *, by: Identity, force: bool = False) -> Report:
    """Load a folder that lies in the packs folder already, where it is."""
    packs = _packs_folder()
    folder = _inside(packs, path)
    with _alone(packs):
        _may_install(_ref_of(folder), by, force)
        return _load(folder, REGISTER, by)


def _packs_folder() -> Path:
    packs: Path = settings.ATTUNE_PACKS_DIR
    packs.mkdir(parents=True, exist_ok=True)
    return packs.resolve()


def _inside(packs: Path, path: str) -> Path:
    try:
        folder = Path(f"{packs}/{path}" if not path.startswith("/") else path).resolve()
    except (OSError, ValueError, RuntimeError):
        raise OutsidePacks("no such folder in the packs folder") from None
    if folder == packs or not folder.is_relative_to(packs) or not folder.is_dir():
        raise OutsidePacks("no such folder in the packs folder")
    return folder


def _ref_of(folder: Path) -> str:
    return str(read_manifest(folder)[1]["ref"])


def _may_install(ref: str, by: Identity, force: bool, place: Path | None = None) -> None:
    if ref == CORE:
        raise PackExists("the core pack is a part of Attune and isn't replaced")
    present = Pack.objects.filter(ref=ref).first()
    taken = present is not None or (place is not None and place.exists())
    if taken and not force:
        raise PackExists(f"the pack {ref} is there already; send force=true to replace it")
    if present is not None:
        require(by, "packs", "configure", present)


def _load(folder: Path, source: str, by: Identity) -> Report:
    report = load_pack(folder, owner=by)
    store(Pack.objects.get(ref=report.pack_ref), {"source_type": source})
    return report


@contextmanager
def _alone(packs: Path) -> Iterator[None]:
    """Let one installation at a time into the packs folder; the lock ends with its process."""
    with (packs / ".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _placed(folder: Path, final: Path, before: Path) -> Iterator[None]:
    """Put a folder in its place by renames; when what follows fails, put back what was there."""
    replaced = final.exists()
    if replaced:
        final.rename(before)
    folder.rename(final)
    try:
        yield
    except BaseException:
        final.rename(folder)
        if replaced:
            before.rename(final)
        raise
