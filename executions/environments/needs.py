"""What a pack needs installed: the files that say so, and the digest that names the result."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

from executions.runners.job import RunnerSettings
from executions.runners.recipe import Recipe

MANIFEST = "pack.yaml"
LISTS = (".txt", ".in")  # dependency files that may name others
LEFT_OUT = frozenset({".git", "node_modules", "__pycache__"})
SHARED = "_shared"  # no pack's ref: they begin with a letter


@dataclass(frozen=True, slots=True)
class Need:
    """One environment: two needs with one digest are met by one environment."""

    recipe: Recipe
    owner: str  # the pack's ref, or SHARED
    pack_dir: Path
    files: tuple[str, ...]  # of the pack: what the installer reads
    digest: str

    @property
    def name(self) -> str:
        return f"{self.recipe.name}-{self.digest}"

    def __str__(self) -> str:
        if self.owner == SHARED:
            return f"the environment of packs without {self.recipe.files[0]}"
        return f"the environment of pack {self.owner}"


def need_of(recipe: Recipe, pack_ref: str, pack_dir: Path, settings: RunnerSettings) -> Need | None:
    """Return the environment that a pack's actions run in, None if they need none."""
    asks = recipe.asks(pack_dir)
    if not asks and not recipe.shared:
        return None
    identity = recipe.identity(settings)
    if not asks:
        return Need(recipe, SHARED, pack_dir, (), _digest(SHARED, identity))
    files = tuple(sorted(set(_files(recipe, pack_dir))))
    contents = (f"{name}\0{_seen(_hash, pack_dir / name)}" for name in files)
    digest = _digest(pack_ref, _seen(_version, pack_dir / MANIFEST), identity, *contents)
    return Need(recipe, pack_ref, pack_dir, files, digest)


def _files(recipe: Recipe, pack_dir: Path) -> Iterator[str]:
    """Return the dependency files, and what they name inside the pack."""
    root = pack_dir.resolve()
    todo = [root / name for name in recipe.files]
    seen: set[Path] = set()
    while todo:
        path = todo.pop()
        if path in seen or not path.is_relative_to(root):
            continue
        seen.add(path)
        if path.is_dir():
            todo += _members(path)
        elif path.is_file():
            yield str(path.relative_to(root))
            todo += _named(recipe, path, root)


def _named(recipe: Recipe, path: Path, root: Path) -> Iterator[Path]:
    """Return the paths that a dependency file names: relative to itself, or to where the installer runs."""
    if path.suffix not in LISTS and path.relative_to(root).as_posix() not in recipe.files:
        return
    for word in recipe.references(_read(path).decode("utf-8", "replace")):
        for base in (root, path.parent):
            yield Path(os.path.normpath(base / word))


def _members(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if path.name not in LEFT_OUT and not path.is_symlink())


def _seen(look: Callable[[Path, tuple[int, ...]], str], path: Path) -> str:
    """Look into a file again only when it changed: this is asked before every run."""
    try:
        found = path.stat()
    except OSError:
        return ""
    return look(path, (found.st_mtime_ns, found.st_size, found.st_ino))


@lru_cache(maxsize=4096)
def _hash(path: Path, _state: tuple[int, ...]) -> str:
    return hashlib.sha256(_read(path)).hexdigest()


@lru_cache(maxsize=1024)
def _version(path: Path, _state: tuple[int, ...]) -> str:
    """Return the pack's version: another one is installed anew, so that it may move unpinned packages."""
    try:
        manifest = yaml.safe_load(_read(path))
    except yaml.YAMLError:
        return ""
    return str(manifest.get("version")) if isinstance(manifest, dict) else ""


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0\0".join(parts).encode()).hexdigest()[:16]
