"""The folder where one run leaves its files: `<shared>/<execution id>`, made for it and gone after it.

The shared folder stays, with whatever else actions keep there. What lies in a run's folder is hostile
until read: links, devices and pipes, files that grow, names that are no text, trees without end.
Nothing but regular files is opened, and never through a link. Pure: no database, no Django.
"""

from __future__ import annotations

import errno
import os
import stat
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from executions.artifacts.names import readable
from executions.runners.removing import remove

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
    """A run's own folder. Whatever the action puts in its place is not followed out of it.

    It is held open until it is discarded, so that its inode is nobody else's.
    """

    def __init__(self, shared: Path, execution_id: int) -> None:
        self.path = shared / str(execution_id)
        try:
            os.mkdir(self.path, 0o700)
        except FileNotFoundError:
            shared.mkdir(parents=True, exist_ok=True)
            os.mkdir(self.path, 0o700)
        except FileExistsError:  # of an attempt whose worker was killed
            put_away(self.path)
            os.mkdir(self.path, 0o700)
        self._handle = os.open(self.path, _FOLDER)

    def open(self) -> int | None:
        """Return a descriptor of the folder, good until it is discarded; None when the action removed it."""
        try:
            handle = os.open(self.path, _FOLDER)
        except FileNotFoundError:
            return None
        os.close(self._handle)
        self._handle = handle  # an action may have made it anew
        return handle

    def discard(self) -> None:
        """Remove the folder, unless by now another attempt of the execution has its own there."""
        ours = _identity(os.fstat(self._handle))
        with suppress(OSError):
            if _identity(os.lstat(self.path)) == ours:
                put_away(self.path)
        os.close(self._handle)


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
    """Clear a path at once, and remove what lay there: a thread does what takes long."""
    with suppress(OSError):
        os.rmdir(path)
        return
    away = path.with_name(f"{REMOVED}{uuid.uuid4().hex}")
    try:
        os.rename(path, away)
    except FileNotFoundError:
        return
    with suppress(OSError):
        os.unlink(away)  # it was no folder
        return
    remove(away)


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
