import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from executions.environments.needs import SHARED, Need, need_of
from executions.runners import RunnerSettings
from executions.runners.node.recipe import RECIPE as NODE
from executions.runners.python.recipe import RECIPE as PYTHON

Digest = Callable[[], str]


@pytest.fixture
def need(pack_dir: Path) -> Callable[[], Need]:
    def look() -> Need:
        found = need_of(PYTHON, "demo", pack_dir, RunnerSettings())
        assert found is not None
        return found

    return look


@pytest.fixture
def requirements(pack_dir: Path) -> Path:
    path = pack_dir / "requirements.txt"
    path.write_text("greet==1.0\n")
    return path


@pytest.mark.parametrize("text", [None, "", "# nothing\n\n  # yet\n"])
def test_packs_without_requirements_share_an_environment(need, pack_dir, text):
    if text is not None:
        (pack_dir / "requirements.txt").write_text(text)

    found = need()

    assert (found.owner, found.files) == (SHARED, ())
    assert str(found) == "the environment of packs without requirements.txt"


def test_a_pack_with_requirements_has_its_own(need, requirements):
    found = need()

    assert (found.owner, found.files) == ("demo", ("requirements.txt",))
    assert str(found) == "the environment of pack demo"


def test_other_files_of_the_pack_do_not_count(need, requirements, pack_dir):
    before = need().digest
    (pack_dir / "actions/x.py").write_text("print()")
    (pack_dir / "lib").mkdir()

    assert need().digest == before


def test_other_requirements_need_another_environment(need, requirements):
    before = need().digest
    requirements.write_text("greet==1.1\n")

    assert need().digest != before


def test_another_version_of_the_pack_needs_another_environment(need, requirements, pack_dir):
    before = need().digest
    (pack_dir / "pack.yaml").write_text("ref: demo\nversion: 1.0.10\n")

    assert need().digest != before


def test_another_interpreter_needs_another_environment(requirements, pack_dir):
    other = dataclasses.replace(RunnerSettings(), python="/nowhere/python")

    found = need_of(PYTHON, "demo", pack_dir, other)

    assert found is not None
    assert found.digest != need_of(PYTHON, "demo", pack_dir, RunnerSettings()).digest


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("-r more.txt", "more.txt"),
        ("--constraint=pins/limits.txt", "pins/limits.txt"),
        ("./vendor/greet", "vendor/greet/setup.py"),
        ("vendor/greet[extra]  # ours", "vendor/greet/setup.py"),
        ("-e ./vendor/greet", "vendor/greet/setup.py"),
        ("greet.whl", "greet.whl"),
        ("--find-links vendor/", "vendor/greet/setup.py"),
    ],
)
def test_what_requirements_name_in_the_pack_counts(need, requirements, pack_dir, line, named):
    (pack_dir / named).parent.mkdir(parents=True, exist_ok=True)
    (pack_dir / named).write_text("1")
    requirements.write_text(line)
    before = need()

    (pack_dir / named).write_text("22")

    assert before.files == tuple(sorted(("requirements.txt", named)))
    assert need().digest != before.digest


def test_lists_name_further_files(need, requirements, pack_dir):
    (pack_dir / "a").mkdir()
    (pack_dir / "a/one.txt").write_text("-r two.txt")
    (pack_dir / "a/two.txt").write_text("-r ../requirements.txt")
    requirements.write_text("-r a/one.txt")

    assert need().files == ("a/one.txt", "a/two.txt", "requirements.txt")


@pytest.mark.parametrize(
    "line", ["-r ../secrets.txt", "-r /etc/hostname", "-r a/../../secrets.txt", "https://x.example/a.whl"]
)
def test_nothing_outside_the_pack_is_read(need, requirements, pack_dir, line):
    (pack_dir.parent / "secrets.txt").write_text("needle")
    requirements.write_text(line)

    assert need().files == ("requirements.txt",)


def test_a_link_out_of_the_pack_is_not_followed(need, requirements, pack_dir):
    (pack_dir.parent / "secrets").mkdir()
    (pack_dir.parent / "secrets/key").write_text("needle")
    (pack_dir / "vendor").mkdir()
    (pack_dir / "vendor/link").symlink_to(pack_dir.parent / "secrets")
    requirements.write_text("./vendor")

    assert need().files == ("requirements.txt",)


@pytest.mark.parametrize(
    ("package", "needed"),
    [
        (None, False),
        ("{}", False),
        ('{"type": "module", "dependencies": {}}', False),
        ('{"dependencies": {"a": "1"}}', True),
        ('{"optionalDependencies": {"a": "1"}}', True),
        ("{broken", True),
        ("[]", True),
    ],
)
def test_node_needs_one_for_dependencies_only(pack_dir, package, needed):
    if package is not None:
        (pack_dir / "package.json").write_text(package)

    assert (need_of(NODE, "demo", pack_dir, RunnerSettings()) is not None) is needed


def test_a_lock_and_local_packages_count(pack_dir):
    (pack_dir / "vendor/dep/node_modules/x").mkdir(parents=True)
    (pack_dir / "vendor/dep/index.js").write_text("")
    (pack_dir / "vendor/dep/node_modules/x/index.js").write_text("")
    (pack_dir / "package.json").write_text(
        '{"main": "actions/x.js", "dependencies": {"dep": "file:./vendor/dep"}}'
    )
    (pack_dir / "package-lock.json").write_text("{}")

    found = need_of(NODE, "demo", pack_dir, RunnerSettings())

    assert found is not None
    assert found.files == ("package-lock.json", "package.json", "vendor/dep/index.js")
