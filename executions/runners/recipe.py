"""How a pack's dependencies are installed: what a runtime says, and nothing of when or by whom."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from executions.runners.job import RunnerSettings

SOURCE = "source"  # in an environment's folder: copies of the pack's files that the installer reads


class NoInstaller(Exception):
    """This host lacks what installs; the message says what."""


@dataclass(frozen=True, slots=True)
class Step:
    """One program of an installation, named in words that an operator knows."""

    words: str
    argv: tuple[str, ...]


class Recipe(Protocol):
    """How the environments of one runtime are made. Steps run in the environment's source folder."""

    @property
    def name(self) -> str:
        """Of the runtime, in folders and messages."""
        ...

    @property
    def files(self) -> tuple[str, ...]:
        """What the installer reads of the pack's top folder; the first is what people call it by."""
        ...

    @property
    def shared(self) -> bool:
        """Tell whether packs without dependencies need an environment, too: one for all of them."""
        ...

    def asks(self, pack_dir: Path) -> bool:
        """Tell whether a pack names any dependency."""
        ...

    def references(self, text: str) -> Iterable[str]:
        """Return the words of a dependency file that may be paths of the pack."""
        ...

    def identity(self, settings: RunnerSettings) -> str:
        """Return what an environment is bound to: another interpreter needs another environment."""
        ...

    def steps(self, folder: Path, files: Iterable[str], settings: RunnerSettings) -> list[Step]:
        """Return what makes the environment in `folder`, given the dependency files that there are.

        Raises NoInstaller.
        """
        ...

    def works(self, folder: Path) -> bool:
        """Tell whether a finished environment can still be used."""
        ...
