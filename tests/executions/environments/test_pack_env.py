"""`manage.py pack_env`, with real installers: a wheel and an npm package of the pack itself."""

import io

import pytest
from django.core.management import CommandError, call_command

from attune_project.packs.loader import load_pack
from attune_project.packs.models import Pack
from executions.models import RuntimeEnvironment
from tests.executions.environments.conftest import wheel

pytestmark = pytest.mark.django_db


@pytest.fixture
def demo(pack_dir, settings, tmp_path):
    settings.ATTUNE_RUNTIME_ENVS_DIR = tmp_path / "envs"
    settings.ATTUNE_DATA_DIR = tmp_path
    (pack_dir / "pack.yaml").write_text("{ref: demo, label: Demo, version: 1.0.0}")
    load_pack(pack_dir)
    return pack_dir


def pack_env(*words):
    said = io.StringIO()
    call_command("pack_env", *words, stdout=said)
    return said.getvalue()


def test_build_rebuild_list_and_remove(demo):
    wheel(demo / "vendor", "greet", "WORD = 'hi'")
    (demo / "requirements.txt").write_text("./vendor/greet-1.0-py3-none-any.whl\n")

    first = pack_env("build", "demo").splitlines()[-1]
    second = pack_env("build", "demo").splitlines()[-1]
    third = pack_env("rebuild", "demo").splitlines()[-1]
    listed = pack_env("list")

    assert first == second != third
    assert first.startswith("demo: ")
    assert listed.splitlines()[1].split()[:2] == ["demo", "core.python"]
    assert listed.splitlines()[1].split()[3] == "ready"
    assert pack_env("remove", "demo") == "demo: 1 removed\n"
    assert not RuntimeEnvironment.objects.exists()


def test_a_failure_is_the_commands(demo):
    (demo / "package.json").write_text("{broken")

    with pytest.raises(CommandError, match="The environment of pack demo could not be built: npm install"):
        pack_env("build", "demo")

    assert "failed" in pack_env("list")


def test_rebuild_takes_back_the_failures_of_other_hosts(demo):
    RuntimeEnvironment.objects.create(
        pack_ref="demo", runtime_ref="core.node", host="elsewhere", digest="1", status="failed", error="no"
    )

    pack_env("rebuild", "demo")

    assert not RuntimeEnvironment.objects.filter(host="elsewhere").exists()


def test_a_pack_that_is_not_there(db):
    with pytest.raises(CommandError, match="there is no pack gone"):
        pack_env("build", "gone")


def test_a_pack_whose_files_are_elsewhere(demo):
    Pack.objects.update(storage_path="/nowhere/demo")

    with pytest.raises(CommandError, match=r"this host has no copy of the pack demo 1\.0\.0"):
        pack_env("build", "demo")
