import os
from pathlib import Path

import pytest

from executions.runners.folder import run_folder, sweep


def age(path: Path) -> None:
    os.utime(path, (1, 1))


def test_a_dead_workers_folder_is_swept(tmp_path: Path) -> None:
    left = tmp_path / "attune-run-left"
    (left / "home").mkdir(parents=True)
    (left / "values").write_text("secret")
    age(left)

    assert sweep(tmp_path) == 1
    assert not left.exists()


def test_a_living_runs_folder_is_left(tmp_path: Path) -> None:
    with run_folder(tmp_path) as folder:
        age(folder.base)

        assert sweep(tmp_path) == 0
        assert folder.home.is_dir()


def test_new_folders_and_foreign_ones_are_left(tmp_path: Path) -> None:
    (tmp_path / "attune-run-new").mkdir()
    (tmp_path / "precious").mkdir()
    (tmp_path / "attune-run-link").symlink_to(tmp_path / "precious")
    age(tmp_path / "precious")

    assert sweep(tmp_path) == 0
    assert (tmp_path / "precious").is_dir()


def test_a_file_is_never_written_twice(tmp_path: Path) -> None:
    with run_folder(tmp_path) as folder:
        folder.write("values", b"x", 0o600)

        with pytest.raises(FileExistsError):
            folder.write("values", b"y", 0o600)


def test_the_folder_goes_when_the_run_breaks(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), run_folder(tmp_path) as folder:
        raise ZeroDivisionError

    assert not folder.base.exists()
