"""Packs with dependencies, and who asks for their environments."""

import zipfile
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import pytest

from executions.environments.serving import Asker, environment_for
from executions.runners import Control, RunnerSettings
from executions.runners.recipe import Recipe
from tests.executions.environments.fakes import FakeRecipe


@pytest.fixture
def recipe() -> FakeRecipe:
    return FakeRecipe()


@pytest.fixture
def host(tmp_path: Path) -> RunnerSettings:
    (tmp_path / "runs").mkdir()
    return RunnerSettings(runtime_envs_dir=tmp_path / "envs", runs_dir=tmp_path / "runs", kill_grace=0.3)


@pytest.fixture
def pack_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "packs" / "demo"
    (folder / "actions").mkdir(parents=True)
    (folder / "pack.yaml").write_text("ref: demo\nversion: 1.0.0\n")
    (folder / "deps.txt").write_text("something\n")
    return folder


class User:
    """Asks for the environment of the pack `demo` and remembers what it was told."""

    def __init__(self, pack_dir: Path, host: RunnerSettings) -> None:
        self.pack_dir, self.host = pack_dir, host
        self.control = Control()
        self.told: list[str] = []

    @contextmanager
    def using(self, recipe: Recipe):
        asker = Asker(self.host, self.control, self.told.append)
        with environment_for(recipe, "demo", self.pack_dir, asker) as folder:
            yield folder

    def get(self, recipe: Recipe) -> Path | None:
        with self.using(recipe) as folder:
            return folder


@pytest.fixture
def user(pack_dir: Path, host: RunnerSettings) -> User:
    return User(pack_dir, host)


@pytest.fixture
def new_user(pack_dir: Path, host: RunnerSettings) -> Callable[[], User]:
    return lambda: User(pack_dir, host)


def wheel(folder: Path, name: str, text: str) -> Path:
    """Write a wheel with one module, as small as pip takes it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", text)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return path
