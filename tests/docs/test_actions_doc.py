"""docs/actions.md says what happens: its pack is loaded and run by a worker, its answers are compared."""

import json
import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from rest_framework.test import APIClient

from attune_project.packs.loader import load_pack
from attune_project.packs.models import Runtime
from executions.models import Action, Artifact, Execution, Progress
from executions.requesting import Wanted, request_executions
from executions.runners import RunnerSettings
from executions.worker.process import WorkerProcess
from executions.worker.scaling import Bounds
from tests.executions.runners.http_server import loopback, serving
from tests.integration.spine import ROOT, until

PAGE = (ROOT / "docs" / "actions.md").read_text()
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"(?:\A|\A#!.*\n)(?:#|//) (tour/\S+)\n")
CLAIM = re.compile(r"`(tour\.\w+)` with `(\{.*?\})` (?:has|ends `(\w+)`)")


def examples() -> Iterator[tuple[str, dict, str, dict]]:
    """Give each answer on the page with the sentence before it: action, parameters, status, result."""
    for block in re.finditer(r"\n\n```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        sentence = PAGE[: block.start()].rpartition("\n\n")[2].replace("\n", " ")
        claim = CLAIM.search(sentence)
        assert claim, f"nothing runs this: {sentence}"
        yield claim[1], json.loads(claim[2]), claim[3] or "completed", json.loads(block[1])


EXAMPLES = list(examples())
SHOP = "https://shop.example"
VARIES = "..."


@pytest.fixture
def shop() -> Iterator[str]:
    """The address of a web server that stands for the one in the examples."""
    with serving(loopback()) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def tour(db: None, tmp_path: Path, shop: str) -> Path:
    """The folder of the page's pack; its runtimes are there, as the core pack brings them."""
    for document in (ROOT / "attune_project/packs/core/runtimes").glob("*.yaml"):
        Runtime.objects.create(ref=yaml.safe_load(document.read_text())["ref"])
    for _, text in BLOCK.findall(PAGE):
        if found := FILE.match(text):
            path = tmp_path / found[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace(SHOP, shop))
            path.chmod(0o755)
    return tmp_path / "tour"


@pytest.fixture
def worker(worker_service: None, tmp_path: Path, tour: Path) -> Iterator[WorkerProcess]:
    load_pack(tour)
    host = RunnerSettings(
        artifacts_dir=tmp_path / "artifacts", runtime_envs_dir=tmp_path / "envs", http_allow=("127.0.0.1",)
    )
    process = WorkerProcess(host, Bounds(16, 16), inside=4)
    yield process
    process.draining = True
    process.slots.stop_all()
    process.slots.wait(60)
    process.slots.close()


@pytest.fixture
def run(worker: WorkerProcess) -> Callable[..., list[Execution]]:
    """Run actions, each with its parameters, at once; return their executions after the first attempt."""

    def start(*wanted: tuple[str, dict[str, Any]]) -> list[Execution]:
        actions = {action.ref: action for action in Action.objects.all()}
        ids = request_executions([Wanted(actions[ref], given, uuid.uuid4()) for ref, given in wanted])
        worker.take(500)
        rows = Execution.objects.filter(pk__in=ids)
        assert until(lambda: not rows.filter(status__in=("scheduled", "running")), 200, step=0.05)
        found = rows.in_bulk()
        return [found[pk] for pk in ids]

    return start


def differences(shown: Any, found: Any, path: str = "") -> list[str]:
    """Return where what is shown isn't what was found."""
    if shown == VARIES or path.endswith(".duration_ms"):
        return [] if found is not None else [f"{path} is not there"]
    if isinstance(shown, dict) and isinstance(found, dict):
        names = shown.keys() | found.keys()
        return [one for name in sorted(names)
                for one in differences(shown.get(name), found.get(name), f"{path}.{name}")]  # fmt: skip
    if isinstance(shown, list) and isinstance(found, list) and len(shown) == len(found):
        pairs = enumerate(zip(shown, found, strict=True))
        return [one for place, pair in pairs for one in differences(*pair, f"{path}[{place}]")]
    return [] if shown == found else [f"{path}: {found!r}, not {shown!r}"]


@pytest.mark.django_db
def test_its_pack_loads_without_a_warning(tour: Path):
    report = load_pack(tour)

    assert report.warnings == []
    assert len(report.loaded["actions"]) == len(list(tour.glob("actions/*.yaml"))) >= 9


@pytest.mark.django_db
def test_the_page_has_examples_of_every_runtime(tour: Path):
    load_pack(tour)

    shown = {Action.objects.get(ref=ref).runtime_ref for ref, *_ in EXAMPLES}

    assert shown == {"core.shell", "core.python", "core.node", "core.native", "core.builtin"}


@pytest.mark.django_db
def test_what_the_page_sends_starts_its_first_action(tour: Path, api: APIClient):
    load_pack(tour)
    body, path = re.findall(r"-d '(.*?)' http://localhost:8080(\S+)$", PAGE, re.MULTILINE)[0]

    answer = api.post(path, json.loads(body), format="json")

    assert answer.status_code == 201, answer.json()
    assert answer.json()["data"]["action_ref"] == "tour.hello"


@pytest.mark.django_db(transaction=True)
def test_each_example_gives_what_the_page_shows(run: Callable[..., list[Execution]], shop: str):
    executions = run(*((ref, given) for ref, given, _, _ in EXAMPLES))

    wrong = {}
    for (ref, given, status, shown), execution in zip(EXAMPLES, executions, strict=True):
        result = json.loads(json.dumps(execution.result).replace(shop, SHOP))
        wrong[ref, str(given)] = differences([status, shown], [execution.status, result])
    assert [f"{example}: {found}" for example, found in wrong.items() if found] == []


@pytest.mark.django_db(transaction=True)
def test_what_is_left_behind_is_what_the_page_shows(run: Callable[..., list[Execution]], shop: str):
    (execution,) = run(("tour.report", {}))

    table = PAGE.replace(SHOP, shop).partition("## Files, values, progress")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(.+?)` \| `(\w+)` \| (?:`(.+)`|(\d+) bytes) \|$", table, re.MULTILINE)
    shown = {name: (kind, json.loads(data) if data else int(size)) for name, kind, data, size in rows}
    left = Artifact.objects.filter(execution_id=execution.pk)
    assert {one.name: (one.type, one.data or one.size_bytes) for one in left} == shown
    told = Progress.objects.get(execution_id=execution.pk)
    assert (told.percent, told.text) == (50, "writing")


@pytest.mark.django_db(transaction=True)
def test_another_attempt_is_made_where_the_page_says_so(run: Callable[..., list[Execution]]):
    (execution,) = run(("tour.careful", {"megabytes": -1}))

    assert (execution.status, execution.retry_count) == ("requested", 1), execution.result


@pytest.mark.django_db(transaction=True)
def test_the_environment_has_what_the_page_lists(run: Callable[..., list[Execution]], tour: Path):
    (tour / "actions/env.py").write_text("import os\nfor name in os.environ: print(name + '=')\n")
    for name, entry in {"shell": "env", "python": "env.py"}.items():
        document = f"ref: tour.{name}\nlabel: Shows it\nentry_point: {entry}\n"
        (tour / f"actions/{name}.yaml").write_text(document)
    load_pack(tour)

    in_shell, in_python = (
        names_in(one.result["stdout"]) for one in run(("tour.shell", {}), ("tour.python", {}))
    )

    table = PAGE.partition("## The environment")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)
    listed = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    sometimes = {"ATTUNE_PARAMETER_FILE", "ATTUNE_RULE", "ATTUNE_TRIGGER", "ATTUNE_API_TOKEN", "NODE_PATH"}
    assert in_python == listed - sometimes
    assert in_shell == listed - sometimes - {"PYTHONPATH", "VIRTUAL_ENV"}


def names_in(text: str) -> set[str]:
    """Return the names that `env` prints, without those that bash sets itself."""
    return {line.partition("=")[0] for line in text.splitlines()} - {"PWD", "SHLVL", "_", "OLDPWD"}
