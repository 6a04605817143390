"""Where the files of a pack are on this host.

`pack.storage_path` is a path of the host that loaded the pack; another host has its copy in its own packs
folder, and the core pack comes with the installation. A copy counts only if it is of the version that
was loaded: until the right one is there, this host runs nothing that needs it.
"""

from pathlib import Path

from django.conf import settings

from .documents import DocumentError, read
from .manifest import NAME
from .removal import CORE

INSTALLED = Path(__file__).resolve().parent / "core"
_versions: dict[tuple[Path, int, int], tuple[str, str] | None] = {}  # (path, size, time): (ref, version)
MOST_KEPT = 10_000


def folder_of(ref: str, version: str, storage_path: str | None) -> Path | None:
    """Return this host's folder of a pack in this version; None when it has no such copy, or needs none."""
    if storage_path is None:  # made through the API: it has no files
        return None
    return next((folder for folder in _places(ref, storage_path) if _is(folder, ref, version)), None)


def _places(ref: str, storage_path: str) -> list[Path]:
    return [Path(storage_path), settings.ATTUNE_PACKS_DIR / ref, *([INSTALLED] if ref == CORE else [])]


def _is(folder: Path, ref: str, version: str) -> bool:
    try:
        state = (folder / NAME).stat()
    except OSError:
        return False
    key = (folder, state.st_size, state.st_mtime_ns)
    if key not in _versions:
        if len(_versions) >= MOST_KEPT:
            _versions.clear()
        _versions[key] = _read(folder / NAME)
    return _versions[key] == (ref, version)


def _read(manifest: Path) -> tuple[str, str] | None:
    try:
        values = read(manifest).values
    except DocumentError:
        return None
    return str(values.get("ref")), str(values.get("version"))
