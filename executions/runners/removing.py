"""Remove what an action left, however deep, wide or locked it is, without keeping its result waiting."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Collection, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

PATIENCE = 1.0  # s; what takes longer is removed behind the run's back
FEW = 8  # names in a folder
BATCH = 10_000

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove(folder: Path) -> None:
    """Remove a folder with everything in it; return after PATIENCE at the latest. Links are not followed.

    What cannot be removed (a mount, an immutable file) stays, which is not the run's failure.
    """
    if _remove_few(folder):
        return
    try:
        _Remover(time.monotonic() + PATIENCE).remove(folder)
    except _TimeIsUp:
        rest = _Remover(float("inf"))
        threading.Thread(target=rest.remove, args=(folder,), name="remover", daemon=True).start()


def _remove_few(folder: Path) -> bool:
    """Remove a folder of a few files and empty folders, as most are left; return whether that was all."""
    try:
        top = os.open(folder, _FOLDER)
        try:
            with os.scandir(top) as entries:
                found = list(islice(entries, FEW))
            for entry in found:
                (os.rmdir if entry.is_dir(follow_symlinks=False) else os.unlink)(entry.name, dir_fd=top)
        finally:
            os.close(top)
        os.rmdir(folder)
    except OSError:
        return False
    return True


class _Remover:
    """Folders within the folder are moved to its top before they are emptied: so neither the depth of a
    tree nor the length of its paths matters, and nothing recurses."""

    def __init__(self, until: float) -> None:
        self._until = until
        self._stuck: set[str] = set()

    def remove(self, folder: Path) -> None:
        """Raises _TimeIsUp."""
        with suppress(OSError):
            top = _opened(folder)
            try:
                self._empty(top)
            finally:
                os.close(top)
            os.rmdir(folder)

    def _empty(self, top: int) -> None:
        while found := _entries(top, self._stuck):
            for name in found:
                self._look_at_the_clock()
                if not _unlink(top, name) and not self._raze(top, name):
                    self._stuck.add(name)

    def _raze(self, top: int, name: str) -> bool:
        """Remove a folder of `top`; return whether it is gone."""
        with suppress(OSError):
            inner = _opened(name, top)
            try:
                self._hollow(inner, top)
            finally:
                os.close(inner)
            os.rmdir(name, dir_fd=top)
            return True
        return False

    def _hollow(self, folder: int, top: int) -> None:
        """Remove a folder's files and move its folders to `top`."""
        stuck: set[str] = set()
        while found := _entries(folder, stuck):
            for name in found:
                self._look_at_the_clock()
                if not _unlink(folder, name) and not _move(name, folder, top):
                    stuck.add(name)

    def _look_at_the_clock(self) -> None:
        if time.monotonic() > self._until:
            raise _TimeIsUp


class _TimeIsUp(Exception):
    """What is left takes longer than it may."""


def _opened(name: str | Path, within: int | None = None) -> int:
    """Unlock a folder of ours and return a descriptor of it.

    A chmod of its name would reach through a link, and an action may have put one there.
    """
    place = os.open(name, os.O_PATH | _FOLDER, dir_fd=within)
    try:
        os.chmod(f"/proc/self/fd/{place}", 0o700)
        return os.open(".", _FOLDER, dir_fd=place)
    finally:
        os.close(place)


def _entries(folder: int, but: Collection[str]) -> list[str]:
    with os.scandir(folder) as entries:
        names: Iterator[str] = (entry.name for entry in entries if entry.name not in but)
        return list(islice(names, BATCH))


def _unlink(folder: int, name: str) -> bool:
    with suppress(OSError):
        os.unlink(name, dir_fd=folder)
        return True
    return False


def _move(name: str, folder: int, top: int) -> bool:
    with suppress(OSError):
        os.close(_opened(name, folder))  # its own ".." changes: it must be open to us
        os.rename(name, f"moved-{uuid.uuid4().hex}", src_dir_fd=folder, dst_dir_fd=top)
        return True
    return False
