"""Unpack a pack's tar.gz from a stranger: files and folders only, inside the target, within limits.

Nothing but plain files is ever made, so no later member can be led outside by an earlier one; the
decompressed stream is cut at its limit, so a small archive can't grow without end, in memory or on disk.
"""

import gzip
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO

from .manifest import NAME

MOST_FILES = 10_000
DEEPEST = 50
LARGEST = 100 * 1024 * 1024
# Headers of members, padding to blocks and the end of the archive.
LARGEST_STREAM = LARGEST + MOST_FILES * 2048 + 64 * 1024


class ArchiveError(ValueError):
    """Why an archive isn't taken."""


class _Cut:
    """A stream that refuses to give more than the limit."""

    def __init__(self, stream: gzip.GzipFile) -> None:
        self.stream, self.left = stream, LARGEST_STREAM

    def read(self, size: int = -1) -> bytes:
        wanted = self.left + 1 if size < 0 else min(size, self.left + 1)
        data = self.stream.read(wanted)
        self.left -= len(data)
        if self.left < 0:
            raise ArchiveError(f"more than {LARGEST // 2**20} MiB unpacked")
        return data


def unpack(stream: IO[bytes], target: Path) -> None:
    """Unpack into an empty folder; raise ArchiveError (the folder is then the caller's to delete)."""
    try:
        with gzip.GzipFile(fileobj=stream) as plain, _opened(plain) as archive:
            _unpack_members(archive, target)
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error, UnicodeError) as error:
        raise ArchiveError(f"not a tar.gz: {error}") from None
    except OSError as error:
        raise ArchiveError(f"its files can't be written: {error.strerror or error}") from None


def pack_folder(unpacked: Path) -> Path:
    """Return the folder with pack.yaml: the top, or the one folder in it."""
    if (unpacked / NAME).is_file():
        return unpacked
    inside = [path for path in unpacked.iterdir() if not path.name.startswith(".")]
    if len(inside) == 1 and (inside[0] / NAME).is_file():
        return inside[0]
    raise ArchiveError(f"no {NAME} at its top or in its one folder")


def _opened(plain: gzip.GzipFile) -> tarfile.TarFile:
    return tarfile.open(fileobj=_Cut(plain), mode="r|", errorlevel=2)  # type: ignore[call-overload, no-any-return]


def _unpack_members(archive: tarfile.TarFile, target: Path) -> None:
    size = 0
    for count, member in enumerate(archive, start=1):
        size += member.size
        if count > MOST_FILES:
            raise ArchiveError(f"more than {MOST_FILES:,} files")
        if size > LARGEST:
            raise ArchiveError(f"more than {LARGEST // 2**20} MiB unpacked")
        _write(archive, member, target / _safe(member))


def _safe(member: tarfile.TarInfo) -> PurePosixPath:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or "\\" in member.name:
        raise ArchiveError(f"{member.name[:200]!r} leads out of the pack")
    if not member.name.isprintable() or len(path.parts) > DEEPEST:
        raise ArchiveError(f"{member.name[:200]!a} isn't a name for a file")
    if not (member.isdir() or (member.isreg() and not member.issparse())):
        raise ArchiveError(f"{member.name[:200]!r} is a link or a device; packs hold files and folders only")
    return path


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    if member.isdir():
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    content = archive.extractfile(member)
    assert content is not None  # a plain file always has one
    with content, path.open("wb") as file:
        shutil.copyfileobj(content, file)
    path.chmod(0o755 if member.mode & 0o100 else 0o644)
