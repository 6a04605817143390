"""The environment of a pack for core.python: a virtual environment with its requirements.txt."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from executions.runners.asking import version_of
from executions.runners.job import RunnerSettings
from executions.runners.recipe import Step

REQUIREMENTS = "requirements.txt"
VERSION = ("-I", "-S", "-c", "import platform; print(platform.python_version())")
OPTIONS = ("--disable-pip-version-check", "--no-input")

_COMMENT = re.compile(r"(^|\s)#.*")
_PATH = re.compile(r"\.|.*/.*|.*\.(txt|in|whl|zip|gz|bz2)", re.IGNORECASE)


class PythonRecipe:
    name = "python"
    files = (REQUIREMENTS,)
    shared = True

    def asks(self, pack_dir: Path) -> bool:
        try:
            lines = (pack_dir / REQUIREMENTS).read_text("utf-8", "replace").splitlines()
        except OSError:
            return False
        return any(_COMMENT.sub("", line).strip() for line in lines)

    def references(self, text: str) -> Iterable[str]:
        for line in text.splitlines():
            for word in re.split(r"[\s=]+", _COMMENT.sub("", line)):
                if _PATH.fullmatch(word) and "://" not in word:
                    yield word.partition("[")[0]

    def identity(self, settings: RunnerSettings) -> str:
        return f"{settings.python} {version_of(settings.python, *VERSION)}"

    def steps(self, folder: Path, files: Iterable[str], settings: RunnerSettings) -> list[Step]:
        """Make the environment and install by the worker's own pip, if it has one: a third of the time."""
        ours = importlib.util.find_spec("pip") is not None
        python = str(folder / "bin" / "python")
        pip = (sys.executable, "-m", "pip", "--python", python) if ours else (python, "-m", "pip")
        without = ("--without-pip",) if ours or REQUIREMENTS not in files else ()
        steps = [Step("python -m venv", (settings.python, "-I", "-m", "venv", *without, str(folder)))]
        if REQUIREMENTS in files:
            steps.append(Step("pip install", (*pip, "install", *OPTIONS, "-r", REQUIREMENTS)))
        return steps

    def works(self, folder: Path) -> bool:
        return os.access(folder / "bin" / "python", os.X_OK)


RECIPE = PythonRecipe()
