"""Where environments lie on a host: `<root>/<owner>/<runtime>-<digest>-<build>/`, and files beside them.

`<runtime>-<digest>.json` names the folder that is ready and appears in one rename, so a half-built
folder is never used. `<runtime>-<digest>.failed` keeps the last failure. A folder that is built or used
is locked, `<runtime>.lock` is held by who builds: both locks end with their holder, however it ends.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from executions.environments.needs import Need

HOUR = 3600.0
UNUSED = 30 * 24 * HOUR  # s after which an environment that nothing ran in goes


class Busy(Exception):
    """Another process holds the lock."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a host has of one need."""

    root: Path
    need: Need

    @property
    def owner(self) -> Path:
        return self.root / self.need.owner

    def ready(self) -> Path | None:
        """Return the folder that can be used now, None if there is none, or it was damaged."""
        name = _loaded(self._pointer).get("folder")
        folder = self.owner / name if isinstance(name, str) and name else None
        return folder if folder is not None and self.need.recipe.works(folder) else None

    @contextmanager
    def used(self) -> Iterator[Path | None]:
        """Give the folder that can be used, and keep it from being removed meanwhile."""
        folder = self.ready()
        if folder is None:
            yield None
            return
        try:
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            yield None
            return
        try:
            fcntl.flock(handle, fcntl.LOCK_SH)
            self._note_use()
            yield folder if self.ready() == folder else None
        finally:
            os.close(handle)

    @contextmanager
    def building(self) -> Iterator[None]:
        """Be the only one on this host who builds for this owner and runtime; raise Busy at once."""
        self.owner.mkdir(parents=True, exist_ok=True)
        with locked(self.owner / f"{self.need.recipe.name}.lock"):
            yield

    @contextmanager
    def new_folder(self) -> Iterator[Path]:
        """Make an empty folder, locked against removal; it goes again if the block fails."""
        folder = Path(tempfile.mkdtemp(prefix=f"{self.need.name}-", dir=self.owner))
        folder.chmod(0o755)
        with locked(folder):
            try:
                yield folder
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise

    def publish(self, folder: Path) -> None:
        """Let everybody use a finished folder from now on."""
        self._failure.unlink(missing_ok=True)
        _store(self._pointer, {"folder": folder.name, "built_at": time.time()})

    def fail(self, error: str) -> None:
        _store(self._failure, {"error": error, "at": time.time()})

    def failure(self, seconds: float) -> str | None:
        """Return how the last build failed, if that was within so many seconds."""
        kept = _loaded(self._failure)
        age = time.time() - float(kept.get("at", 0))
        return str(kept["error"]) if kept and 0 <= age < seconds else None

    def forget_failure(self) -> None:
        self._failure.unlink(missing_ok=True)

    def remove_others(self) -> int:
        """Remove what was built for this owner and runtime and isn't ready for this need; return how many.

        What somebody uses stays until a later build.
        """
        keep = self.ready()
        return remove(self.owner, self.need.recipe.name, keep)

    def _note_use(self) -> None:
        """Let the pointer's time say when this was last used, to the hour."""
        with suppress(OSError):
            if time.time() - self._pointer.stat().st_mtime > HOUR:
                os.utime(self._pointer)

    @property
    def _pointer(self) -> Path:
        return self.owner / f"{self.need.name}.json"

    @property
    def _failure(self) -> Path:
        return self.owner / f"{self.need.name}.failed"


def remove(owner: Path, runtime: str, keep: Path | None = None) -> int:
    """Remove the environments of an owner for a runtime but one; who holds the builder's lock calls this."""
    kept = "" if keep is None else keep.name.rpartition("-")[0]
    for path in owner.glob(f"{runtime}-*.*"):
        if path.suffix in (".json", ".failed") and path.stem != kept:
            path.unlink(missing_ok=True)
    folders = [path for path in owner.glob(f"{runtime}-*") if path.is_dir() and path != keep]
    return sum(_removed(folder) for folder in folders)


def remove_unused(root: Path) -> int:
    """Remove what no action ran in for long, such as that of packs which are gone; return how many went."""
    gone = 0
    for pointer in root.glob("*/*.json"):
        owner, runtime = pointer.parent, pointer.stem.rpartition("-")[0]
        with suppress(Busy, OSError), locked(owner / f"{runtime}.lock"):
            if time.time() - pointer.stat().st_mtime > UNUSED:
                gone += remove(owner, runtime)
    return gone


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file (made if need be) or folder; raise Busy if another has it."""
    flags = os.O_RDONLY | os.O_DIRECTORY if path.is_dir() else os.O_RDWR | os.O_CREAT
    handle = os.open(path, flags, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(str(path)) from None
        yield
    finally:
        os.close(handle)


def _removed(folder: Path) -> bool:
    with suppress(Busy, OSError), locked(folder):
        shutil.rmtree(folder, ignore_errors=True)
        return True
    return False


def _loaded(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _store(path: Path, content: dict[str, Any]) -> None:
    """Write a file that is there whole or not at all."""
    handle, temporary = tempfile.mkstemp(prefix=".", dir=path.parent)
    with open(handle, "w", encoding="utf-8") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    os.chmod(temporary, 0o644)
    os.replace(temporary, path)
