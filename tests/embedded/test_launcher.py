"""The first half of `./attune`, which may count on nothing but Python."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from attune_project.embedded.folder import REPOSITORY


def make_checkout(path: Path) -> Path:
    """Fill a checkout whose requirements are met at once: there are none."""
    shutil.copy(REPOSITORY / "attune", path / "attune")
    (path / "requirements.txt").write_text("# nothing\n")
    package = path / "attune_project" / "embedded"
    package.mkdir(parents=True)
    (package / "cli.py").write_text("import sys; print('cli', sys.argv[1:], sys.prefix)")
    return path


@pytest.fixture
def checkout(public: Path) -> Path:
    """A checkout with a space in its path, in which nothing was run yet."""
    return make_checkout(public)


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout in which the launcher ran once: making an environment takes seconds."""
    path = make_checkout(tmp_path_factory.mktemp("with space "))
    first = attune(path, "psql", "-c", "select 1")
    assert first.stdout == f"cli ['psql', '-c', 'select 1'] {path / '.venv'}\n"
    assert "installing requirements.txt" in first.stderr
    return path


def attune(checkout: Path, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], **extra}
    return subprocess.run(
        [sys.executable, str(checkout / "attune"), *arguments],
        env=environment,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("word", ["pack", "login", "execution"])
def test_words_of_the_later_client_are_refused(checkout: Path, word: str) -> None:
    refused = attune(checkout, word)

    assert refused.returncode == 2
    assert refused.stderr.startswith(f"attune: `{word}` is kept for the client that comes later")
    assert not (checkout / ".venv").exists()


def test_without_a_word_it_explains_itself(checkout: Path) -> None:
    shown = attune(checkout)

    assert shown.returncode == 0
    assert "up [--port N] [--no-demo]" in shown.stdout


def test_a_second_run_installs_nothing(used: Path) -> None:
    attune(used, "down")

    second = attune(used, "down")

    assert (second.stdout, second.stderr) == (f"cli ['down'] {used / '.venv'}\n", "")


def test_it_installs_again_when_requirements_changed(used: Path) -> None:
    (used / "requirements.txt").write_text("# nothing, again\n")

    again = attune(used, "down")

    assert "installing requirements.txt" in again.stderr
    assert again.returncode == 0


def test_an_environment_that_was_cut_short_is_made_anew(checkout: Path) -> None:
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "bin" / "python").symlink_to(sys.executable)

    mended = attune(checkout, "down")

    assert mended.stdout == f"cli ['down'] {checkout / '.venv'}\n"


def test_the_environment_may_lie_elsewhere(used: Path, checkout: Path) -> None:
    shown = attune(checkout, "down", ATTUNE_VENV=str(used / ".venv"))

    assert shown.stdout == f"cli ['down'] {used / '.venv'}\n"
    assert not (checkout / ".venv").exists()


def test_a_place_that_cannot_be_written_is_named(checkout: Path) -> None:
    refused = attune(checkout, "down", ATTUNE_VENV=str(checkout / "requirements.txt" / "venv"))

    assert refused.returncode == 1
    assert "Name folders that you may write to: ATTUNE_VENV" in refused.stderr


def test_python_without_venv_is_told_what_to_install(checkout: Path, tmp_path: Path) -> None:
    """Debian's python3 has no ensurepip; a finder that hides it stands in for that."""
    hide = (
        "import importlib.util as u; found = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'ensurepip' else found(name, *rest)"
    )
    (tmp_path / "sitecustomize.py").write_text(hide)

    refused = attune(checkout, "down", PYTHONPATH=str(tmp_path))

    assert refused.returncode == 1
    assert "apt-get install python3" in refused.stderr
