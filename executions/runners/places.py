"""Folders that are emptied and kept for the next run: to make and remove one may take milliseconds.

(A filesystem without a journal that discards blocks does so at each removal, and waits for the disk.)
Between two runs a folder has another name, so a run's own is gone after it. Whatever differs from how it
was made (contents, owner, mode, size, flags, extended attributes) makes it unfit: then it is removed.
"""

from __future__ import annotations

import array
import atexit
import fcntl
import os
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

from executions.runners.removing import remove

PREFIX = "attune-run-"
HOME = "home"
FEW = 8  # names in a folder; one with more is removed as a whole
KEPT = 64  # folders at most

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_GET_FLAGS = 0x80086601  # FS_IOC_GETFLAGS of 64-bit Linux: immutable and such


class Place:
    """A folder for one run at a time, with the empty folder HOME in it, closed to others and locked."""

    def __init__(self, parent: Path) -> None:
        self.parent = parent
        self.base = parent / _any_name()
        os.mkdir(self.base, 0o700)
        try:
            self._handle = lock(self.base)
        except OSError:
            remove(self.base)
            raise
        try:
            os.mkdir(self.base / HOME, 0o700)
            self._was = self._now()
        except OSError:
            self.remove()
            raise

    def clear(self) -> bool:
        """Remove what a run left, if that is little, and take another name; return whether it is fit."""
        try:
            with os.scandir(self._handle) as entries:
                for count, entry in enumerate(entries):
                    if count == FEW:
                        return False
                    if entry.name != HOME:
                        os.unlink(entry.name, dir_fd=self._handle)
            other = self.parent / _any_name()
            os.rename(self.base, other)
        except OSError:
            return False
        self.base = other
        return self.is_fit()

    def is_fit(self) -> bool:
        """Tell whether it is as it was made."""
        try:
            return os.path.samestat(os.lstat(self.base), os.fstat(self._handle)) and self._now() == self._was
        except OSError:
            return False

    def remove(self) -> None:
        remove(self.base)
        os.close(self._handle)

    def _now(self) -> tuple[object, ...]:
        home = os.open(HOME, _FOLDER, dir_fd=self._handle)
        try:
            return *_condition(self._handle), *_condition(home)
        finally:
            os.close(home)


class Places:
    """Those that are kept; safe from any thread."""

    def __init__(self) -> None:
        self._kept: list[Place] = []
        self._lock = threading.Lock()

    def take(self, parent: Path | None) -> Place:
        """Return a place in `parent` (None: the system's temporary folder)."""
        within = parent or Path(tempfile.gettempdir())
        while (place := self._pop(within)) is not None:
            if place.is_fit():
                return place
            place.remove()
        return Place(within)

    def _pop(self, parent: Path) -> Place | None:
        with self._lock:
            for index in reversed(range(len(self._kept))):
                if self._kept[index].parent == parent:
                    return self._kept.pop(index)
        return None

    def give_back(self, place: Place) -> None:
        """Keep a place whose run is over, or remove it."""
        if place.clear():
            with self._lock:
                if len(self._kept) < KEPT:
                    self._kept.append(place)
                    return
        place.remove()

    def close(self) -> None:
        """Remove those that are kept."""
        with self._lock:
            kept, self._kept = self._kept, []
        for place in kept:
            place.remove()


places = Places()
atexit.register(places.close)


def lock(folder: Path) -> int:
    """Return a descriptor that holds a folder's lock; raise BlockingIOError if another holds it.

    Actions don't inherit it.
    """
    handle = os.open(folder, _FOLDER)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle


def _any_name() -> str:
    return f"{PREFIX}{os.urandom(8).hex()}"


def _condition(folder: int) -> tuple[object, ...]:
    """Return what a run may have changed of an open folder."""
    seen = os.fstat(folder)
    with os.scandir(folder) as entries:
        names = [entry.name for entry, _ in zip(entries, range(FEW), strict=False)]
    return names, seen.st_mode, seen.st_uid, seen.st_gid, seen.st_size, _flags(folder), _attributes(folder)


def _attributes(folder: int) -> list[str]:
    with suppress(OSError):
        return os.listxattr(folder)
    return []


def _flags(folder: int) -> int:
    flags = array.array("l", [0])
    with suppress(OSError):
        fcntl.ioctl(folder, _GET_FLAGS, flags)
    return flags[0]
