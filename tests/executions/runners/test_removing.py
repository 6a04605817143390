import os
import threading
from pathlib import Path

import pytest

from executions.runners import removing
from executions.runners.removing import remove


def test_a_tree_without_end_is_removed(tmp_path: Path):
    folder = tmp_path / "folder"
    folder.mkdir()
    before = os.open(".", os.O_RDONLY)
    try:
        os.chdir(folder)
        for _ in range(3000):
            os.mkdir("deeper")
            os.chdir("deeper")
    finally:
        os.fchdir(before)
        os.close(before)

    remove(folder)
    finish()

    assert not folder.exists()


def test_locked_folders_are_removed(tmp_path: Path):
    folder = tmp_path / "folder"
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "c").touch()
    for path in (folder / "a" / "b", folder / "a", folder):
        path.chmod(0)

    remove(folder)

    assert not folder.exists()


def test_links_are_removed_and_never_followed(tmp_path: Path):
    folder, precious = tmp_path / "folder", tmp_path / "precious"
    folder.mkdir()
    precious.mkdir(mode=0o750)
    (precious / "file").touch()
    (folder / "link").symlink_to(precious)
    (folder / "dangling").symlink_to("nowhere")

    remove(folder)

    assert not folder.exists()
    assert (precious / "file").exists()
    assert precious.stat().st_mode & 0o777 == 0o750


def test_a_link_in_the_folders_place_stays_and_opens_or_locks_nothing(tmp_path: Path):
    precious = tmp_path / "precious"
    precious.mkdir()
    precious.chmod(0o755)
    (tmp_path / "link").symlink_to(precious)

    remove(tmp_path / "link")

    assert precious.stat().st_mode & 0o777 == 0o755


def test_what_cannot_be_removed_stays_and_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.setattr(os, "rmdir", refuse)

    remove(folder)

    assert folder.exists()


def test_what_takes_long_is_removed_behind_the_runs_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(removing, "PATIENCE", -1.0)
    folder = tmp_path / "folder"
    for number in range(200):
        (folder / str(number % 7) / str(number)).mkdir(parents=True)

    remove(folder)
    finish()

    assert not folder.exists()


def test_what_is_gone_is_no_error(tmp_path: Path):
    remove(tmp_path / "gone")


def refuse(*_: object, **__: object) -> None:
    raise PermissionError("immutable")


def finish() -> None:
    for thread in threading.enumerate():
        if thread.name == "remover":
            thread.join(60)
