"""Building, waiting, failing, repairing: with an installer that is a shell script."""

import os
import subprocess
import sys
import threading

import pytest
from django.conf import settings

from executions.environments.installing import BuildFailed, BuildStopped
from executions.environments.places import Busy, locked
from executions.models import RuntimeEnvironment

pytestmark = pytest.mark.django_db


def builds(recipe, tmp_path):
    """Let the installer leave a mark for each time that it ran; return how to count them."""
    recipe.script = f"cp deps.txt ../it; echo x >> {tmp_path}/marks"
    return lambda: len((tmp_path / "marks").read_text().split())


def leftovers(host):
    return sorted(path.name for path in (host.runtime_envs_dir / "demo").glob("fake-*") if path.is_dir())


def test_an_environment_is_built_once_and_told(user, recipe, tmp_path):
    count = builds(recipe, tmp_path)

    first, second = user.get(recipe), user.get(recipe)

    assert first == second
    assert (first / "it").read_text() == "something\n"
    assert count() == 1
    assert user.told == ["waiting for the environment of pack demo (starting, 0 s)"]


def test_a_pack_without_dependencies_needs_nothing(user, recipe, pack_dir):
    (pack_dir / "deps.txt").unlink()

    assert user.get(recipe) is None
    assert not RuntimeEnvironment.objects.exists()


def test_what_came_of_it_stands_in_a_row(user, recipe):
    user.get(recipe)

    row = RuntimeEnvironment.objects.get()
    assert (row.pack_ref, row.runtime_ref, row.status, row.error, row.step) == (
        "demo", "core.fake", "ready", None, None
    )  # fmt: skip
    assert row.started_at <= row.finished_at


def test_the_installer_writes_to_a_copy(user, recipe, pack_dir):
    recipe.script = "echo dirt > dirt; echo changed > deps.txt; cp deps.txt ../it"

    user.get(recipe)

    assert sorted(os.listdir(pack_dir)) == ["actions", "deps.txt", "pack.yaml"]
    assert (pack_dir / "deps.txt").read_text() == "something\n"


def test_the_installer_knows_no_secret_but_how_to_reach_an_index(user, recipe, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "needle")
    monkeypatch.setenv("ATTUNE_JWT_SECRET", "needle")
    monkeypatch.setenv("PIP_INDEX_URL", "http://index.example/")
    monkeypatch.setenv("https_proxy", "http://proxy.example/")
    monkeypatch.setenv("PIP_TARGET", "/elsewhere")
    recipe.script = "env > ../it"

    words = user.get(recipe).joinpath("it").read_text()

    assert "needle" not in words
    assert "PIP_INDEX_URL=http://index.example/" in words
    assert "https_proxy=http://proxy.example/" in words
    assert "PIP_TARGET" not in words


def test_a_failure_says_the_last_words_of_the_installer(user, recipe, host):
    recipe.script = "seq 1 100 | sed 's/^/line /'; echo no such package >&2; exit 3"

    with pytest.raises(BuildFailed) as caught:
        user.get(recipe)

    text = str(caught.value)
    assert text.startswith("The environment of pack demo could not be built: fake install failed:\n")
    assert "no such package" in text
    assert "line 100" in text
    assert "line 50\n" not in text
    row = RuntimeEnvironment.objects.get()
    assert (row.status, row.step, row.error) == ("failed", "fake install", text)
    assert leftovers(host) == []


def test_who_comes_soon_after_a_failure_fails_at_once(user, new_user, recipe, tmp_path):
    recipe.script = f"echo x >> {tmp_path}/marks; exit 1"
    for one in (user, new_user(), new_user()):
        with pytest.raises(BuildFailed):
            one.get(recipe)

    assert (tmp_path / "marks").read_text().split() == ["x"]


def test_after_a_while_it_is_tried_again(user, new_user, recipe, settings):
    recipe.script = "exit 1"
    with pytest.raises(BuildFailed):
        user.get(recipe)
    settings.ATTUNE_ENV_RETRY_SECONDS = 0
    recipe.script = "cp deps.txt ../it"

    assert new_user().get(recipe) is not None
    assert RuntimeEnvironment.objects.get().status == "ready"


def test_a_failure_that_was_taken_back_on_another_host_is_tried_again(user, recipe):
    recipe.script = "exit 1"
    with pytest.raises(BuildFailed):
        user.get(recipe)
    recipe.script = "cp deps.txt ../it"
    RuntimeEnvironment.objects.all().delete()

    assert user.get(recipe) is not None


def test_a_pack_that_changed_is_tried_again(user, recipe, pack_dir):
    recipe.script = "grep good deps.txt > ../it"
    with pytest.raises(BuildFailed):
        user.get(recipe)
    (pack_dir / "deps.txt").write_text("good\n")

    assert user.get(recipe) is not None


def test_a_build_has_a_limit_of_its_own(user, recipe, settings):
    settings.ATTUNE_ENV_BUILD_SECONDS = 0.3
    recipe.script = "echo looking; sleep 600"

    with pytest.raises(BuildFailed) as caught:
        user.get(recipe)

    assert "fake install had not ended after 0.3 s\nlooking" in str(caught.value)


def test_an_installer_that_leaves_nothing_is_a_failure(user, recipe):
    recipe.script = "true"

    with pytest.raises(BuildFailed, match="fake install ended well, but left nothing that works"):
        user.get(recipe)


def test_a_cancel_ends_the_build_and_leaves_nothing(user, new_user, recipe, tmp_path, host):
    recipe.script = f"touch {tmp_path}/begun; sleep 600"
    stop = threading.Thread(target=stop_when, args=(tmp_path / "begun", user.control))
    stop.start()

    with pytest.raises(BuildStopped):
        user.get(recipe)

    stop.join()
    assert leftovers(host) == []
    assert not RuntimeEnvironment.objects.exists()
    recipe.script = "cp deps.txt ../it"
    assert new_user().get(recipe) is not None


def stop_when(path, control):
    while not path.exists():
        pass
    control.stop("cancelled")


@pytest.mark.django_db(transaction=True)
def test_others_wait_for_the_one_that_builds(user, new_user, recipe, tmp_path):
    count = builds(recipe, tmp_path)
    recipe.script += f"; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done"
    users = [user, *(new_user() for _ in range(4))]
    found = {}
    threads = [threading.Thread(target=get_and_close, args=(one, recipe, found)) for one in users]
    for thread in threads:
        thread.start()
    wait_for(lambda: sum(bool(one.told) for one in users) == len(users))
    (tmp_path / "go").touch()
    for thread in threads:
        thread.join()

    assert count() == 1
    assert len(found) == 5
    assert len(set(found.values())) == 1
    assert {one.told[0].split(" (")[0] for one in users} == {"waiting for the environment of pack demo"}


def get_and_close(user, recipe, found):
    from django.db import connections

    try:
        found[id(user)] = user.get(recipe)
    finally:
        connections.close_all()


def wait_for(condition):
    pause = threading.Event()
    while not condition():
        pause.wait(0.02)


def test_who_waits_can_be_stopped(user, recipe, host):
    owner = host.runtime_envs_dir / "demo"
    owner.mkdir(parents=True)
    user.control.stop("cancelled")

    with locked(owner / "fake.lock"), pytest.raises(BuildStopped):
        user.get(recipe)

    assert user.told == ["waiting for the environment of pack demo (starting, 0 s)"]


def test_what_a_killed_build_left_is_no_environment_and_goes(user, recipe, host):
    owner = host.runtime_envs_dir / "demo"
    (owner / "fake-0123-half/lib").mkdir(parents=True)

    folder = user.get(recipe)

    assert leftovers(host) == [folder.name]


BUILDER = """
import sys
from pathlib import Path
from executions.environments.installing import Installation
from executions.environments.needs import need_of
from executions.environments.places import Place
from executions.runners import Control, RunnerSettings
from tests.executions.environments.fakes import FakeRecipe

tmp = Path(sys.argv[1])
host = RunnerSettings(runs_dir=tmp / "runs")
recipe = FakeRecipe(f"echo $$ > {tmp}/pid; mv {tmp}/pid {tmp}/begun; sleep 600")
place = Place(tmp / "envs", need_of(recipe, "demo", tmp / "packs/demo", host))
with place.building():
    Installation(place, host, Control(), 600).run()
"""


def test_a_builder_that_is_killed_holds_nobody_up(user, recipe, host, tmp_path):
    with subprocess.Popen([sys.executable, "-c", BUILDER, tmp_path], cwd=settings.BASE_DIR) as builder:
        wait_for((tmp_path / "begun").exists)
        half = leftovers(host)
        builder.kill()

    folder = user.get(recipe)

    assert len(half) == 1
    assert leftovers(host) == [folder.name]
    assert user.told[0] == "waiting for the environment of pack demo (starting, 0 s)"


def test_a_damaged_environment_is_built_again(user, recipe):
    before = user.get(recipe)
    (before / "it").unlink()

    after = user.get(recipe)

    assert after != before
    assert (after / "it").exists()


def test_a_new_one_takes_the_place_of_the_old(user, recipe, pack_dir, host):
    user.get(recipe)
    (pack_dir / "deps.txt").write_text("other\n")

    folder = user.get(recipe)

    assert leftovers(host) == [folder.name]
    assert (folder / "it").read_text() == "other\n"


def test_an_old_one_stays_while_it_is_used(user, new_user, recipe, pack_dir, host):
    with user.using(recipe) as old:
        (pack_dir / "deps.txt").write_text("other\n")
        new = new_user().get(recipe)

        assert leftovers(host) == sorted([old.name, new.name])
        assert (old / "it").read_text() == "something\n"


def test_what_nothing_ran_in_for_a_month_goes(user, recipe, pack_dir, host, tmp_path):
    for owner in ("gone", "quiet", "used"):
        folder = host.runtime_envs_dir / owner / "fake-0123-abc"
        folder.mkdir(parents=True)
        pointer = folder.parent / "fake-0123.json"
        pointer.write_text('{"folder": "fake-0123-abc"}')
        os.utime(pointer, (0, 0) if owner != "quiet" else None)

    with locked(host.runtime_envs_dir / "used/fake-0123-abc"):
        user.get(recipe)

    left = sorted(path.parent.name for path in host.runtime_envs_dir.glob("*/fake-0123-abc"))
    assert left == ["quiet", "used"]


def test_each_use_is_noted_to_the_hour(user, recipe, host):
    user.get(recipe)
    (pointer,) = host.runtime_envs_dir.glob("demo/*.json")
    os.utime(pointer, (0, 0))

    user.get(recipe)

    assert pointer.stat().st_mtime > 1e9


def test_everybody_may_read_an_environment(user, recipe):
    recipe.script = "umask 077; mkdir ../bin; echo > ../bin/tool; chmod 700 ../bin/tool; cp deps.txt ../it"

    folder = user.get(recipe)

    assert oct((folder / "bin/tool").stat().st_mode)[-3:] == "755"
    assert oct((folder / "bin").stat().st_mode)[-3:] == "755"
    assert oct((folder / "it").stat().st_mode)[-3:] == "644"


def test_a_database_that_is_away_does_not_end_a_build(user, recipe, monkeypatch):
    from django.db import OperationalError

    def away(*_, **__):
        raise OperationalError("away")

    monkeypatch.setattr(RuntimeEnvironment.objects, "update_or_create", away)

    assert user.get(recipe) is not None


def test_only_one_builds_for_a_pack_and_runtime(tmp_path):
    with locked(tmp_path / "a.lock"), pytest.raises(Busy), locked(tmp_path / "a.lock"):
        pass


@pytest.mark.django_db(transaction=True)
def test_a_build_tells_how_far_it_is(user, recipe, tmp_path, monkeypatch):
    monkeypatch.setattr("executions.environments.serving.TELL", 0.02)
    recipe.script = f"echo fetching; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; cp deps.txt ../it"
    found = {}
    thread = threading.Thread(target=get_and_close, args=(user, recipe, found))
    thread.start()
    wait_for(lambda: RuntimeEnvironment.objects.filter(log="fetching\n").exists())
    row = RuntimeEnvironment.objects.get()
    (tmp_path / "go").touch()
    thread.join()

    assert (row.status, row.step, row.finished_at) == ("building", "fake install", None)
    assert any("environment of pack demo (fake install, " in said for said in user.told)
    assert found


def test_what_an_installer_says_is_not_the_action_s(user, recipe):
    heard = []
    user.control.listener = lambda stream, chunk: heard.append(chunk)
    recipe.script = "echo installing; cp deps.txt ../it"

    user.get(recipe)
    user.control.listener("stdout", b"own")

    assert heard == [b"own"]
