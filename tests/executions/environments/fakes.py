"""A recipe whose installer is a shell script."""

from collections.abc import Iterable
from pathlib import Path

from executions.runners import RunnerSettings
from executions.runners.recipe import Step


class FakeRecipe:
    """Installs by a script that may read `deps.txt` and must leave `it` in the environment."""

    name = "fake"
    files = ("deps.txt",)
    shared = False

    def __init__(self, script: str = "cp deps.txt ../it; echo installed") -> None:
        self.script = script
        self.version = "1"

    def asks(self, pack_dir: Path) -> bool:
        return (pack_dir / "deps.txt").exists()

    def references(self, text: str) -> Iterable[str]:
        return text.split()

    def identity(self, settings: RunnerSettings) -> str:
        return self.version

    def steps(self, folder: Path, files: Iterable[str], settings: RunnerSettings) -> list[Step]:
        return [Step("fake install", ("/bin/sh", "-ec", self.script))]

    def works(self, folder: Path) -> bool:
        return (folder / "it").exists()
