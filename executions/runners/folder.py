"""The folder of one run: made empty, private, and gone afterwards."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from executions.runners.places import HOME, PREFIX, Place, lock, places
from executions.runners.removing import remove
from executions.runners.sandbox import Sandbox
from executions.runners.users import User, lent_user

SETTLED = 60.0  # seconds after which a folder that nobody has locked is nobody's


@dataclass(frozen=True, slots=True)
class RunFolder:
    """`home` is the action's own and starts empty; what we hand over lies beside it.

    `user` is who runs in it and owns all of it; None: the worker's own user.
    """

    base: Path
    home: Path
    user: User | None = None

    def write(self, name: str, content: bytes, mode: int) -> Path:
        """Write a file that nobody else can read at any time; return its path."""
        path = self.base / name
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
        self.give(path)
        return path

    def give(self, path: Path) -> None:
        """Make a path of ours the run's own."""
        if self.user is not None:
            os.chown(path, self.user.uid, self.user.uid, follow_symlinks=False)


@contextmanager
def run_folder(parent: Path | None, sandbox: Sandbox | None = None) -> Iterator[RunFolder]:
    """Give a run a folder in `parent` (None: the system's temporary folder) that is gone after it.

    Raises NoUserLeft where each run has a user of its own.
    """
    if sandbox is None or not sandbox.lends_users:
        place = places.take(parent)
        try:
            yield RunFolder(place.base, place.base / HOME)
        finally:
            places.give_back(place)
        return
    with lent_user(sandbox.uids) as user:
        place = Place(parent or Path(tempfile.gettempdir()))
        try:
            folder = RunFolder(place.base, place.base / HOME, user)
            folder.give(folder.base)
            folder.give(folder.home)
            yield folder
        finally:
            place.remove()


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
            handle = lock(base)
            try:
                remove(base)
            finally:
                os.close(handle)
            return True
    return False
