"""The folder of one run: made empty, private, and gone afterwards."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path


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
    base = Path(tempfile.mkdtemp(prefix="attune-run-", dir=parent))  # mode 0700
    try:
        home = base / "home"
        home.mkdir(mode=0o700)
        yield RunFolder(base, home)
    finally:
        shutil.rmtree(base, onerror=_open_and_retry)


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
