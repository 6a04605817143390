"""A worker claims what its host can run; it leaves the rest to others and tells them."""

import pytest

from attune_project.messaging import steps
from attune_project.messaging.topology import EXECUTION_REQUESTED
from attune_project.packs.models import Worker
from executions.models import Execution
from executions.worker import offering
from executions.worker.passing import Passing

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def bare_host(monkeypatch):
    """A host that has only bash and what is in the worker."""
    monkeypatch.setattr(offering, "offered", lambda host: {"shell": "5.2.15", "builtin": "1"})


@pytest.fixture
def packed(pack, tmp_path):
    """The pack's folder, with the version that was loaded."""

    def write(version="1.0.0", place="elsewhere"):
        folder = tmp_path / place
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pack.yaml").write_text(f"ref: demo\nlabel: Demo\nversion: {version}\n")
        return folder

    pack.storage_path = str(tmp_path / "elsewhere")
    pack.save()
    return write


@pytest.mark.parametrize(
    "wanted",
    [
        {"runtime_ref": "core.python", "entrypoint": "a.py"},
        {"runtime_ref": None, "entrypoint": "a.py"},
        {"runtime_ref": "mine.ruby", "entrypoint": "a.rb"},
        {"required_worker_runtimes": {"node": ">=20"}},
        {"required_worker_runtimes": {"shell": ">=6"}},
        {"worker_selector": {"disk": "tape"}},
    ],
)
@pytest.mark.usefixtures("bare_host")
def test_what_this_host_cannot_run_is_left_to_others(make_worker, execute, statuses, fake_publisher, wanted):
    worker, _ = make_worker(), make_worker()
    worker.heartbeat()
    ids = execute(**wanted)
    execute()
    fake_publisher.clear()
    steps._noted.clear()

    worker.take(500)

    assert statuses() == ["scheduled", "completed"]
    assert fake_publisher.rung(EXECUTION_REQUESTED) == ids
    assert steps.is_behind("run", 5)


@pytest.mark.parametrize(
    "wanted",
    [
        {"required_worker_runtimes": {"shell": ">=5"}},
        {"required_worker_runtimes": {"bash": "5", "builtin": "*"}},
        {"runtime_ref": None, "entrypoint": "true"},
    ],
)
@pytest.mark.usefixtures("bare_host")
def test_what_it_can_run_it_runs_at_once_though_it_saw_the_requirement_never_before(
    make_worker, execute, become, wanted
):
    worker = make_worker()
    execute(**wanted)

    while worker.take(500) == 500:
        pass

    assert become("completed")


def test_the_row_says_what_the_host_offers(bare_host, make_worker, packed):
    packed()
    worker = make_worker()
    worker.heartbeat()

    shown = Worker.objects.get(pk=worker.worker_id).capabilities

    assert shown["runtimes"] == ["core.builtin", "core.shell"]
    assert shown["versions"] == {"shell": "5.2.15", "builtin": "1"}
    assert shown["packs"] == {"demo": "1.0.0"}
    assert (shown["slots"], shown["slots_min"], shown["slots_max"], shown["builtin_slots"]) == (2, 2, 2, 2)


def test_a_pack_is_found_in_this_hosts_packs_folder(make_worker, execute_script, packed, settings, become):
    here = packed(place="packs/demo")
    settings.ATTUNE_PACKS_DIR = here.parent
    worker = make_worker()
    execute_script(script="pwd")

    worker.take(500)

    assert become("completed")
    assert Execution.objects.get().result["stdout"].strip() == str(here)


def test_another_version_of_a_pack_is_not_run(make_worker, execute_script, execute, packed, become):
    packed("0.9.0")
    worker = make_worker()
    execute_script(script="pwd")
    execute()

    worker.take(500)
    assert become("scheduled", "completed")  # what is inside the worker needs no files

    packed("1.0.0")
    while worker.take(500) == 500:
        pass
    assert become("completed", "completed")


def test_a_pack_that_goes_between_two_looks_is_a_failure_that_says_so(
    make_worker, execute_script, packed, become
):
    folder = packed()
    worker = make_worker()
    execute_script(script="pwd")
    (folder / "pack.yaml").unlink()

    worker.take(500)

    assert become("failed")
    assert "no copy of the pack demo 1.0.0" in Execution.objects.get().result["error"]


def test_news_do_not_go_round_in_circles(fake_publisher):
    passing = Passing("gpu")

    for _ in range(10):
        passing.on([1, 2])

    assert fake_publisher.rung(EXECUTION_REQUESTED) == [1, 2] * 3
