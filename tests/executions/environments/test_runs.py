"""From a pack's folder to a result: real installers, a real worker."""

import json
import uuid

import pytest

from attune_project.packs.loader import load_pack
from attune_project.packs.models import Runtime
from executions import lifecycle
from executions.environments.places import locked
from executions.models import Action, Execution, RuntimeEnvironment
from executions.requesting import Wanted, request_executions
from executions.runners import RUNNERS
from executions.runners.offers import name_of
from executions.worker.jobs import runner_settings
from executions.worker.process import WorkerProcess
from executions.worker.scaling import Bounds
from tests.executions.environments.conftest import wheel
from tests.executions.environments.test_serving import wait_for

pytestmark = pytest.mark.django_db(transaction=True)

FILES = {
    "pack.yaml": "{ref: shop, label: Shop, version: 1.0.0}",
    "requirements.txt": "./vendor/greet-1.0-py3-none-any.whl",
    "package.json": json.dumps({"dependencies": {"hail": "file:./vendor/hail", "esm": "file:./vendor/esm"}}),
    "vendor/hail/package.json": '{"name": "hail", "version": "1.0.0", "main": "hail.js"}',
    "vendor/hail/hail.js": "module.exports = 'hail'",
    "vendor/esm/package.json": '{"name": "esm", "version": "1.0.0", "type": "module", "exports": "./esm.js"}',
    "vendor/esm/esm.js": "export default 'esm'",
    "lib/ours.py": "WORD = 'lib'",
    "actions/py.yaml": "{ref: shop.py, label: Py, runner_type: python, entry_point: greet_them.py}",
    "actions/greet_them.py": "import greet, ours; print(greet.WORD, ours.WORD)",
    "actions/leak.yaml": "{ref: shop.leak, label: Leak, runner_type: python, entry_point: leak.py}",
    "actions/leak.py": (
        "import importlib.util as u; print([m for m in ('django', 'psycopg', 'pip') if u.find_spec(m)])"
    ),
    "actions/js.yaml": "{ref: shop.js, label: Js, entry_point: hail.js}",
    "actions/hail.js": "console.log(require('hail'), process.cwd())",
    "actions/mjs.yaml": "{ref: shop.mjs, label: Mjs, entry_point: hail.mjs}",
    "actions/hail.mjs": "import 'fs'; import esm from 'esm'; import hail from 'hail'; console.log(esm, hail)",
    "actions/lost.yaml": "{ref: shop.lost, label: Lost, entry_point: lost.mjs}",
    "actions/lost.mjs": "import 'nobody-has-this'",
    "actions/sh.yaml": "{ref: shop.sh, label: Sh, entry_point: 'echo shell'}",
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packs") / "shop"
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    wheel(folder / "vendor", "greet", "WORD = 'greetings'")
    return folder


@pytest.fixture(scope="module")
def envs(tmp_path_factory):
    return tmp_path_factory.mktemp("envs")


@pytest.fixture
def process(shop, envs, settings, worker_service):
    settings.ATTUNE_RUNTIME_ENVS_DIR = envs
    for ref, runner in RUNNERS.items():
        Runtime.objects.create(ref=ref, name=name_of(ref), aliases=list(runner.aliases))
    assert load_pack(shop).warnings == []
    process = WorkerProcess(runner_settings(), Bounds(4, 4), inside=1)
    yield process
    process.draining = True
    process.slots.stop_all()
    process.slots.wait(60)
    process.slots.close()


@pytest.fixture
def start(process):
    """Let the worker begin an action of the pack: `start("shop.py")`."""

    def run(ref, **values):
        (pk,) = request_executions([Wanted(Action.objects.get(ref=ref), values, uuid.uuid4())])
        process.take(10)
        return Execution.objects.get(pk=pk)

    return run


def ended(execution):
    wait_for(lambda: Execution.objects.filter(pk=execution.pk, finished_at__isnull=False).exists())
    execution.refresh_from_db()
    return execution


def test_python_finds_its_requirements_and_lib(start):
    execution = ended(start("shop.py"))

    assert execution.result.get("stdout") == "greetings lib\n", execution.result
    assert (execution.status, execution.status_reason) == ("completed", None)
    row = RuntimeEnvironment.objects.filter(runtime_ref="core.python").first()
    assert row is None or (row.status, row.pack_ref) == ("ready", "shop")


def test_python_sees_nothing_of_the_worker(start):
    assert ended(start("shop.leak")).result.get("stdout") == "[]\n"


def test_node_requires_its_dependencies(start, shop):
    assert ended(start("shop.js")).result.get("stdout") == f"hail {shop}\n"


def test_node_imports_its_dependencies(start):
    execution = ended(start("shop.mjs"))

    assert execution.result.get("stdout") == "esm hail\n", execution.result


def test_a_module_that_nobody_has_is_node_s_own_error(start):
    execution = ended(start("shop.lost"))

    assert execution.status == "failed"
    assert "Cannot find package 'nobody-has-this'" in execution.result["stderr"]
    assert "lost.mjs" in execution.result["stderr"]


def test_shell_waits_for_no_environment(start, envs):
    assert ended(start("shop.sh")).result["stdout"] == "shell\n"


def test_a_failed_build_fails_the_execution_with_the_reason(start, shop):
    path = shop / "vendor/greet-1.0-py3-none-any.whl"
    content = path.read_bytes()
    path.write_bytes(b"no wheel at all")
    execution = ended(start("shop.py"))
    path.write_bytes(content)

    assert execution.status == "failed"
    error = execution.result["error"]
    assert error.startswith("The environment of pack shop could not be built: pip install failed:\n")
    assert "greet" in error


def test_an_execution_says_that_it_waits_and_can_be_cancelled(start, process, envs, shop):
    (envs / "shop").mkdir(exist_ok=True)
    (shop / "requirements.txt").write_text(FILES["requirements.txt"] + "\n\n")
    with locked(envs / "shop/python.lock"):
        execution = start("shop.py")
        wait_for(lambda: reason_of(execution) is not None)
        reason = reason_of(execution)
        lifecycle.cancel(execution.pk)
        process.heartbeat()
        execution = ended(execution)
    (shop / "requirements.txt").write_text(FILES["requirements.txt"])

    assert reason.startswith("waiting for the environment of pack shop (")
    assert execution.status == "cancelled"
    assert execution.result["error"] == "Cancelled while running"


def reason_of(execution):
    return Execution.objects.get(pk=execution.pk).status_reason


def test_the_limits_of_an_action_hold_for_its_run(start):
    Action.objects.filter(ref="shop.sh").update(entrypoint="ulimit -n", limits={"files": 77})

    assert ended(start("shop.sh")).result["stdout"] == "77\n"
