import os
import stat
import subprocess
import sys

import pytest

from attune_project.embedded.environment import secrets_of
from attune_project.embedded.errors import LauncherError
from attune_project.embedded.folder import DataFolder, read_private, write_private


def test_a_second_lock_names_the_holder(folder: DataFolder) -> None:
    with folder.lock("./attune up"), pytest.raises(LauncherError) as raised, folder.lock("./attune manage"):
        pass

    assert str(raised.value) == f"`./attune up` (pid {os.getpid()}) is using {folder.path}: end it first."


def test_the_holder_is_this_process(folder: DataFolder) -> None:
    with folder.lock("./attune up"):
        holder = folder.holder()

    assert holder is not None
    assert holder.process.pid == os.getpid()
    assert holder.process.alive()


def test_nobody_holds_after_a_kill(folder: DataFolder) -> None:
    code = (
        "import os, sys; from pathlib import Path; from attune_project.embedded.folder import DataFolder\n"
        "with DataFolder(Path(sys.argv[1])).lock('x'): os.kill(os.getpid(), 9)"
    )

    killed = subprocess.run([sys.executable, "-c", code, str(folder.path)], check=False)

    assert killed.returncode == -9
    assert folder.holder() is None


def test_a_data_folder_that_cannot_be_made_is_named(folder: DataFolder) -> None:
    below_a_file = DataFolder(folder.path / "file" / "data")
    (folder.path / "file").touch()

    with pytest.raises(LauncherError, match="Name a folder that you may write to in ATTUNE_DATA_DIR"):
        below_a_file.make()


def test_private_files_are_for_their_owner_alone(folder: DataFolder) -> None:
    write_private(folder.admin_file, {"login": "admin"})

    assert stat.S_IMODE(folder.admin_file.stat().st_mode) == 0o600
    assert read_private(folder.admin_file) == {"login": "admin"}


def test_secrets_are_made_once(folder: DataFolder) -> None:
    first = secrets_of(folder)

    again = secrets_of(folder)

    assert again == first
    assert min(len(value) for value in first.values()) >= 50
    assert len(set(first.values())) == len(first)


def test_lost_secrets_are_not_replaced(folder: DataFolder) -> None:
    (folder.path / "postgres").mkdir()

    with pytest.raises(LauncherError, match=r"secrets\.json is missing"):
        secrets_of(folder)

    assert not folder.secrets_file.exists()
