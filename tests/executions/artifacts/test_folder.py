"""A run's folder: what is found in it, and what is never touched."""

import os

import pytest

from executions.artifacts import folder
from executions.artifacts.folder import DEEPEST, REMOVED, Limits, RunFolder, Warnings

MANY = Limits(file_bytes=100, total_bytes=250, files=5)


@pytest.fixture
def run(tmp_path):
    return RunFolder(tmp_path / "shared", 7)


@pytest.fixture
def listed(run):
    """List the run's folder: the names of what is found, and the warnings."""

    def look(limits=MANY):
        warnings = Warnings()
        found = folder.listing(run.open(), limits, warnings)
        return [one.name for one in found], warnings.all()

    return look


def test_a_folder_is_private_and_empty(run):
    assert run.path.stat().st_mode & 0o777 == 0o700
    assert os.listdir(run.path) == []


def test_what_an_earlier_attempt_left_is_gone(run):
    (run.path / "old").write_text("x")

    again = RunFolder(run.path.parent, 7)

    assert os.listdir(again.path) == []


def test_files_are_found_those_above_first(run, listed):
    (run.path / "b" / "c").mkdir(parents=True)
    for name in ("b/c/deep", "b/a", "z"):
        (run.path / name).write_text("x")

    assert listed() == (["z", "b/a", "b/c/deep"], [])


def test_what_is_no_regular_file_is_named_and_not_opened(run, listed, tmp_path):
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("k")
    (run.path / "link").symlink_to(secret / "key")
    (run.path / "folder").symlink_to(secret)
    os.mkfifo(run.path / "pipe")

    names, warnings = listed()

    assert names == []
    assert sorted(warnings) == ["folder: a link", "link: a link", "pipe: not a regular file"]


def test_too_large_too_much_and_too_many_are_left_out(run, listed):
    (run.path / "huge").write_bytes(bytes(101))
    for n in range(3):
        (run.path / f"f{n}").write_bytes(bytes(90))

    names, warnings = listed()

    assert len(names) == 2
    assert len(warnings) == 2
    assert "huge: larger than 100 bytes" in warnings


def test_a_count_of_files_is_the_end_of_looking(run, listed):
    for n in range(30):
        (run.path / f"f{n}").write_bytes(b"")

    names, warnings = listed()

    assert len(names) == 5
    assert warnings == ["more than 5 files; the rest was left out"]


def test_endless_entries_are_not_all_looked_at(run, listed):
    for n in range(1100):
        (run.path / f"l{n}").symlink_to("/")

    names, warnings = listed(Limits(100, 100, 1))

    assert names == []
    assert warnings[-1] == f"and {1010 + 1 - 20} more"


def test_a_tree_without_end_is_not_followed_down(run, listed):
    handle = os.open(run.path, os.O_RDONLY)
    for _ in range(DEEPEST + 5):
        os.mkdir("d", dir_fd=handle)
        handle, above = os.open("d", os.O_RDONLY, dir_fd=handle), handle
        os.close(above)
    os.close(os.open("deep", os.O_CREAT | os.O_WRONLY, dir_fd=handle))
    os.close(handle)

    names, warnings = listed()

    assert names == []
    assert warnings == [f"{'/'.join('d' * DEEPEST)}: deeper than {DEEPEST} folders"]


def test_odd_names_can_be_shown(run, listed):
    (run.path / "two\nlines").write_text("x")
    with open(os.fsencode(run.path) + b"/\xff\xfe", "w") as file:
        file.write("x")

    assert sorted(listed()[0]) == ["\\xff\\xfe", "two\\x0alines"]


def test_a_file_that_became_a_link_is_not_opened(run, tmp_path):
    (run.path / "a").mkdir()
    (tmp_path / "key").write_text("k")
    (run.path / "f").symlink_to(tmp_path / "key")
    (run.path / "d").symlink_to(tmp_path)

    for parts in (("f",), ("d", "key"), ("a",), ("absent",)):
        with pytest.raises(OSError):  # noqa: PT011
            folder.open_file(run.open(), parts)


def test_a_pipe_does_not_hold_up_who_opens_it(run):
    os.mkfifo(run.path / "pipe")

    with pytest.raises(OSError, match="not a regular file"):
        folder.open_file(run.open(), ("pipe",))


def test_a_folder_that_was_replaced_by_a_link_is_not_entered(run, tmp_path):
    run.path.rmdir()
    run.path.symlink_to(tmp_path)

    with pytest.raises(OSError):  # noqa: PT011
        run.open()


def test_a_folder_that_the_action_removed_is_no_fault(run):
    run.path.rmdir()

    assert run.open() is None
    run.discard()


def test_a_folder_that_the_action_made_anew_is_the_runs(run, listed):
    run.path.rmdir()
    run.path.mkdir()
    (run.path / "f").write_text("x")

    assert listed() == (["f"], [])
    run.discard()
    assert not run.path.exists()


def test_the_folder_of_a_later_attempt_is_left_alone(run):
    later = RunFolder(run.path.parent, 7)

    run.discard()

    assert later.path.is_dir()
    later.discard()
    assert not later.path.exists()


def test_discarding_removes_whatever_is_in_it_and_nothing_beside(run, tmp_path):
    (tmp_path / "kept").write_text("x")
    (run.path / "link").symlink_to(tmp_path)
    (run.path / "closed").mkdir()
    (run.path / "closed" / "file").write_text("x")
    (run.path / "closed").chmod(0)

    run.discard()

    assert not run.path.exists()
    assert os.listdir(run.path.parent) == []
    assert (tmp_path / "kept").exists()


def test_a_file_or_a_link_in_its_place_is_removed_and_not_followed(run, tmp_path):
    (tmp_path / "kept").mkdir()
    run.path.rmdir()
    for replace in (lambda: run.path.write_text("x"), lambda: run.path.symlink_to(tmp_path / "kept")):
        replace()
        folder.put_away(run.path)
        assert os.listdir(run.path.parent) == []

    assert (tmp_path / "kept").is_dir()


def test_leftovers_are_told_from_what_actions_keep(tmp_path):
    for name in ("12", f"{REMOVED}x", "cache", "1e3", "٣"):
        (tmp_path / name).mkdir()

    ids, removed = folder.leftovers(tmp_path)

    assert (ids, removed) == ([12], [tmp_path / f"{REMOVED}x"])


def test_no_shared_folder_has_no_leftovers(tmp_path):
    assert folder.leftovers(tmp_path / "absent") == ([], [])
