"""The folder where one run leaves its files: `<shared>/<execution id>`, made for it and gone after it.

The shared folder stays, with whatever else actions keep there. What lies in a run's folder is hostile
until read: links, devices and pipes, files that grow, names that are no text, trees without end.
Nothing but regular files is opened, and never through a link. Pure: no database, no Django.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from executions.artifacts.names import readable

DEEPEST = 32  # levels of folders
REMOVED = ".removed-"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one run may leave."""

    file_bytes: int
    total_bytes: int
    files: int


@dataclass(slots=True)
class Warnings:
    """What was left out and why, for people; no more than they would read."""

    most: int = 20
    texts: list[str] = field(default_factory=list)
    left_out: int = 0

    def add(self, text: str) -> None:
        if len(self.texts) < self.most:
            self.texts.append(text)
        else:
            self.left_out += 1

    def all(self) -> list[str]:
        return [*self.texts, *([f"and {self.left_out} more"] if self.left_out else [])]


@dataclass(frozen=True, slots=True)
class Found:
    """A regular file as it was seen; `parts` is its path below the run's folder."""

    parts: tuple[str, ...]
    size: int

    @property
    def name(self) -> str:
        return readable("/".join(self.parts))


class RunFolder:
    """A run's own folder. Whatever the action puts in its place is not followed out of it."""

    def __init__(self, shared: Path, execution_id: int) -> None:
        self.path = shared / str(execution_id)
        shared.mkdir(parents=True, exist_ok=True)
        put_away(self.path)  # of an attempt whose worker was killed
        self.path.mkdir(mode=0o700)
        self._identity = _identity(os.lstat(self.path))

    @contextmanager
    def opened(self) -> Iterator[int | None]:
        """Give a descriptor of the folder, or None when the action removed it."""
        try:
            handle = os.open(self.path, _FOLDER)
        except FileNotFoundError:
            yield None
            return
        try:
            self._identity = _identity(os.fstat(handle))  # an action may have made it anew
            yield handle
        finally:
            os.close(handle)

    def discard(self) -> None:
        """Remove the folder, unless by now another attempt of the execution has its own there."""
        with suppress(OSError):
            if _identity(os.lstat(self.path)) == self._identity:
                put_away(self.path)


def listing(root: int, limits: Limits, warnings: Warnings) -> list[Found]:
    """Return the files below an open folder that may be kept, those nearest to it first."""
    owner = os.fstat(root).st_uid
    found: list[Found] = []
    total = 0
    for parts, seen in _entries(root, limits.files, warnings):
        problem = _problem(seen, owner, limits)
        if problem is None and total + seen.st_size > limits.total_bytes:
            problem = f"the files of one run may have {limits.total_bytes} bytes"
        if problem is not None:
            warnings.add(f"{readable('/'.join(parts))}: {problem}")
            continue
        if len(found) == limits.files:
            warnings.add(f"more than {limits.files} files; the rest was left out")
            break
        total += seen.st_size
        found.append(Found(parts, seen.st_size))
    return sorted(found, key=lambda one: (len(one.parts), one.parts))


def open_file(root: int, parts: tuple[str, ...]) -> int:
    """Return a descriptor of a regular file; OSError when a link or anything else is there by now."""
    folder = _descend(root, parts[:-1])
    try:
        file = os.open(parts[-1], _FILE, dir_fd=folder)
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(errno.EINVAL, "not a regular file")
    return file


def put_away(path: Path) -> None:
    """Clear a path at once; what lay there is removed by a thread of its own."""
    with suppress(OSError):
        os.rmdir(path)
        return
    away = path.with_name(f"{REMOVED}{uuid.uuid4().hex}")
    try:
        os.rename(path, away)
    except FileNotFoundError:
        return
    threading.Thread(target=remove, args=(away,), name="artifacts-removal", daemon=True).start()


def remove(path: Path) -> None:
    """Remove a file or a tree of any depth and size; what can't be removed stays.

    Folders within are moved up beside it, so that neither the stack nor descriptors nor the length of
    paths depend on how deep the tree is.
    """
    waiting = [path]
    while waiting:
        folder = waiting.pop()
        with suppress(OSError):
            waiting += _emptied(folder)
            os.rmdir(folder)


def _emptied(folder: Path) -> list[Path]:
    """Unlink what is in a folder, and move its folders beside it; return where they are now."""
    if not stat.S_ISDIR(os.lstat(folder).st_mode):
        os.unlink(folder)
        return []
    os.chmod(folder, 0o700)
    moved: list[Path] = []
    handle = os.open(folder, _FOLDER)
    try:
        with os.scandir(handle) as entries:
            for entry in entries:
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        beside = folder.with_name(f"{REMOVED}{uuid.uuid4().hex}")
                        os.chmod(entry.name, 0o700, dir_fd=handle)
                        os.rename(entry.name, beside, src_dir_fd=handle)
                        moved.append(beside)
                    else:
                        os.unlink(entry.name, dir_fd=handle)
    finally:
        os.close(handle)
    return moved


def leftovers(shared: Path) -> tuple[list[int], list[Path]]:
    """Return the ids of executions that have a folder here, and what was being removed."""
    ids: list[int] = []
    removed: list[Path] = []
    with suppress(FileNotFoundError):
        for entry in os.scandir(shared):
            if entry.name.startswith(REMOVED):
                removed.append(Path(entry.path))
            elif entry.name.isascii() and entry.name.isdigit() and len(entry.name) < 19:
                ids.append(int(entry.name))
    return ids, removed


def _entries(root: int, files: int, warnings: Warnings) -> Iterable[tuple[tuple[str, ...], os.stat_result]]:
    """Give everything below a folder that is no folder, without following links or recursing."""
    left = 10 * files + 1000
    above: list[tuple[str, ...]] = [()]
    while above:
        parts = above.pop()
        for entry in _members(root, parts, warnings):
            left -= 1
            if left < 0:
                warnings.add("too many entries; the rest was left out")
                return
            path = (*parts, entry.name)
            if not entry.is_dir(follow_symlinks=False):
                with suppress(FileNotFoundError):
                    yield path, entry.stat(follow_symlinks=False)
            elif len(path) < DEEPEST:
                above.append(path)
            else:
                warnings.add(f"{readable('/'.join(path))}: deeper than {DEEPEST} folders")


def _members(root: int, parts: tuple[str, ...], warnings: Warnings) -> Iterator[os.DirEntry[str]]:
    try:
        folder = _descend(root, parts)
    except OSError as problem:
        warnings.add(f"{readable('/'.join(parts))}: {problem.strerror}")
        return
    try:
        with os.scandir(folder) as entries:
            yield from entries
    finally:
        os.close(folder)


def _descend(root: int, parts: tuple[str, ...]) -> int:
    """Return a descriptor of a folder below an open one, through no link."""
    folder = os.dup(root)
    for name in parts:
        try:
            below = os.open(name, _FOLDER, dir_fd=folder)
        finally:
            os.close(folder)
        folder = below
    return folder


def _problem(seen: os.stat_result, owner: int, limits: Limits) -> str | None:
    """Return why an entry is not kept. Another user's file can only be a link that reaches out."""
    if stat.S_ISLNK(seen.st_mode):
        return "a link"
    if not stat.S_ISREG(seen.st_mode):
        return "not a regular file"
    if seen.st_uid != owner and owner != os.geteuid():
        return "belongs to another user"
    if seen.st_size > limits.file_bytes:
        return f"larger than {limits.file_bytes} bytes"
    return None


def _identity(seen: os.stat_result) -> tuple[int, int]:
    return seen.st_dev, seen.st_ino
