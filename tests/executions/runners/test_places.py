import os
from collections.abc import Callable
from pathlib import Path

import pytest

from executions.runners.places import FEW, HOME, Place, Places


def inode(place: Place) -> int:
    return place.base.stat().st_ino


def test_a_place_is_kept_under_another_name(tmp_path: Path):
    places = Places()
    place = places.take(tmp_path)
    name, number = place.base, inode(place)
    (name / "values").write_text("secret")

    places.give_back(place)

    assert not name.exists()
    again = places.take(tmp_path)
    assert inode(again) == number
    assert [path.name for path in again.base.rglob("*")] == [HOME]


def test_two_runs_at_once_have_two(tmp_path: Path):
    places = Places()

    assert places.take(tmp_path).base != places.take(tmp_path).base


def test_a_place_is_kept_for_its_parent(tmp_path: Path):
    (tmp_path / "other").mkdir()
    places = Places()
    places.give_back(places.take(tmp_path))

    assert places.take(tmp_path / "other").base.parent == tmp_path / "other"


def write(path: Path) -> None:
    path.write_text("x")


def fill(path: Path) -> None:
    for number in range(FEW + 1):
        (path / str(number)).touch()


def swell(path: Path) -> None:
    """Make a folder of ext4 grow for good."""
    for number in range(400):
        (path / f"{number}{'x' * 200}").touch()
    for child in path.iterdir():
        child.unlink()
    if path.stat().st_size == path.parent.stat().st_size:
        pytest.skip("folders of this filesystem shrink")


def mark(path: Path) -> None:
    try:
        os.setxattr(path, "user.mark", b"x")
    except OSError:
        pytest.skip("this filesystem has no attributes of users")


CHANGES: list[tuple[str, Callable[[Path], object]]] = [
    ("a file at home", lambda base: write(base / HOME / "file")),
    ("a folder beside it", lambda base: (base / "folder").mkdir()),
    ("many files", fill),
    ("no home", lambda base: (base / HOME).rmdir()),
    ("open home", lambda base: (base / HOME).chmod(0o777)),
    ("open folder", lambda base: base.chmod(0o755)),
    ("marked home", lambda base: mark(base / HOME)),
    ("swollen home", lambda base: swell(base / HOME)),
    ("another in its place", lambda base: (base.rename(base.with_name("moved")), base.mkdir())),
]


@pytest.mark.parametrize("change", [change for _, change in CHANGES], ids=[name for name, _ in CHANGES])
def test_what_a_run_has_changed_no_other_run_gets(tmp_path: Path, change: Callable[[Path], object]):
    places = Places()
    place = places.take(tmp_path)
    name = place.base
    change(name)

    places.give_back(place)

    assert not name.exists()
    assert places.take(tmp_path) is not place


@pytest.mark.parametrize("change", [change for _, change in CHANGES], ids=[name for name, _ in CHANGES])
def test_what_was_changed_while_it_was_kept_no_run_gets(tmp_path: Path, change: Callable[[Path], object]):
    places = Places()
    place = places.take(tmp_path)
    places.give_back(place)
    change(place.base)

    again = places.take(tmp_path)

    assert again is not place
    assert (again.base.stat().st_mode & 0o777, (again.base / HOME).stat().st_mode & 0o777) == (0o700, 0o700)
    assert [path.name for path in again.base.rglob("*")] == [HOME]


def test_a_place_that_went_while_it_was_kept_is_not_missed(tmp_path: Path):
    places = Places()
    place = places.take(tmp_path)
    places.give_back(place)
    (place.base / HOME).rmdir()
    place.base.rmdir()

    assert (places.take(tmp_path).base / HOME).is_dir()


def test_those_that_are_kept_go_with_the_worker(tmp_path: Path):
    places = Places()
    places.give_back(places.take(tmp_path))

    places.close()

    assert list(tmp_path.iterdir()) == []
