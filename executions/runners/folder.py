"""The folder of one run: made empty, private, and gone afterwards."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

PREFIX = "attune-run-"
SETTLED = 60.0  # seconds after which a folder that nobody has locked is nobody's


@dataclass(frozen=True, slots=True)
class RunFolder:
    """`home` is the action's own and starts empty; what we hand over lies beside it."""

    base: Path
    home: Path

    def write(self, name: str, content: bytes, mode: int) -> Path:
        """Write a file that nobody else can read at any time; return its path."""
        path = self.base / name
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
        return path


@contextmanager
def run_folder(parent: Path | None) -> Iterator[RunFolder]:
    """Make a run's folder in `parent` (None: the system's temporary folder) and remove it."""
    base = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))  # mode 0700
    try:
        with _locked(base):
            home = base / "home"
            home.mkdir(mode=0o700)
            yield RunFolder(base, home)
    finally:
        shutil.rmtree(base, onerror=_open_and_retry)


def sweep(parent: Path | None) -> int:
    """Remove the folders of runs whose worker was killed; return how many. Call it as a worker starts.

    A folder belongs to a living run while it is locked: unlike a process id, a lock also tells
    about workers in other containers, and ends with its holder.
    """
    bases = Path(parent or tempfile.gettempdir()).glob(f"{PREFIX}*")
    return sum(_sweep(base) for base in bases)


def _sweep(base: Path) -> bool:
    with suppress(OSError):
        if time.time() - base.lstat().st_mtime > SETTLED:
            with _locked(base):
                shutil.rmtree(base, onerror=_open_and_retry)
                return True
    return False


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock; raise BlockingIOError if another holds it. Actions don't inherit it."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def _open_and_retry(remove: Callable[..., object], path: str, _error: object) -> None:
    """Remove what an action made unwritable; what still stays is not the run's failure."""
    with suppress(OSError):
        os.chmod(os.path.dirname(path), 0o700)
        os.chmod(path, 0o700, follow_symlinks=False)
    with suppress(OSError):
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)
