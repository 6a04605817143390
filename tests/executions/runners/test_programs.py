"""What python, node and native have in common, each tried as itself."""

import dataclasses
import json
from pathlib import Path

import pytest
import yaml

from attune_project.packs.places import INSTALLED
from executions import runners
from executions.runners import RUNNERS, Control, run, runner_for
from executions.runners.offers import name_of
from tests.executions.runners.packs import PackFolder

READS = {
    "core.python": (
        "say.py",
        "import json, os, sys\n"
        "given = json.loads(sys.stdin.readline())\n"
        "print(given['name'], os.getcwd(), len(sys.argv), 'needle' in str(os.environ))\n",
    ),
    "core.node": (
        "say.js",
        "const given = JSON.parse(require('fs').readFileSync(0))\n"
        "const seen = JSON.stringify(process.env).includes('needle') ? 'True' : 'False'\n"
        "console.log(given.name, process.cwd(), process.argv.length - 1, seen)\n",
    ),
    "core.native": (
        "say",
        '#!/bin/bash\nread -r line; name=${line#*:\\"}; seen=False; env | grep -q needle && seen=True\n'
        'echo "${name%%\\"*} $PWD $(($# + 1)) $seen"\n',
    ),
}


@pytest.fixture
def pack(tmp_path: Path) -> PackFolder:
    runs = tmp_path / "runs"
    runs.mkdir()
    return PackFolder(tmp_path / "demo", runs)


@pytest.mark.parametrize("runtime", READS)
def test_parameters_come_on_stdin_and_nowhere_else(pack: PackFolder, runtime: str) -> None:
    name, text = READS[runtime]
    pack.write(f"actions/{name}", text, 0o755)

    outcome = pack.run(runtime, name, parameters={"name": "needle"})

    assert outcome.result["stdout"] == f"needle {pack.path} 1 False\n", outcome


@pytest.mark.parametrize("runtime", READS)
def test_keys_lie_under_the_parameters(pack: PackFolder, runtime: str) -> None:
    name, text = {
        "core.python": ("cat.py", "import sys; sys.stdout.write(sys.stdin.read())"),
        "core.node": ("cat.js", "process.stdin.pipe(process.stdout)"),
        "core.native": ("cat", "#!/bin/bash\ncat"),
    }[runtime]
    pack.write(f"actions/{name}", text, 0o755)

    outcome = pack.run(runtime, name, parameters={"a": 1}, keys={"a": 2, "b": "key"})

    assert json.loads(outcome.result["stdout"]) == {"a": 1, "b": "key"}


@pytest.mark.parametrize("runtime", READS)
def test_a_missing_file_fails_and_is_named(pack: PackFolder, runtime: str) -> None:
    outcome = pack.run(runtime, "gone.x")

    assert outcome.status == "failed"
    assert outcome.result["error"] == "There is no file actions/gone.x in the pack demo"


@pytest.mark.parametrize("runtime", READS)
def test_a_pack_that_is_not_on_this_host_is_named(pack: PackFolder, runtime: str) -> None:
    job = dataclasses.replace(pack.job(runtime, "x"), pack_dir=Path("/nowhere/demo"))

    outcome = run(job, Control(), pack.host)

    assert outcome.result["error"] == "The folder of the pack demo is not on this host: /nowhere/demo"


@pytest.mark.parametrize("runtime", READS)
def test_a_file_outside_the_actions_is_refused(pack: PackFolder, runtime: str) -> None:
    pack.write("evil", "#!/bin/bash\necho pwned", 0o755)

    outcome = pack.run(runtime, "../evil")

    assert outcome.result["error"] == "Entrypoint '../evil' lies outside the pack's actions folder"


@pytest.mark.parametrize("runtime", READS)
def test_an_exit_code_is_a_failure(pack: PackFolder, runtime: str) -> None:
    name, text = {
        "core.python": ("x.py", "exit(7)"),
        "core.node": ("x.js", "process.exit(7)"),
        "core.native": ("x", "#!/bin/bash\nexit 7"),
    }[runtime]
    pack.write(f"actions/{name}", text, 0o755)

    outcome = pack.run(runtime, name)

    assert (outcome.status, outcome.result["exit_code"]) == ("failed", 7)


def test_python_imports_from_lib_and_from_beside_itself(pack: PackFolder) -> None:
    pack.write("lib/shared.py", "WORD = 'lib'")
    pack.write("actions/beside.py", "WORD = 'beside'")
    pack.write("actions/x.py", "import beside, shared; print(shared.WORD, beside.WORD)")

    assert pack.run("python3", "x.py").result.get("stdout") == "lib beside\n"


def test_python_writes_without_buffering(pack: PackFolder) -> None:
    pack.write("actions/x.py", "import os; print('said', end=''); os._exit(0)")

    assert pack.run("core.python", "x.py").result["stdout"] == "said"


def test_python_that_is_missing_fails(pack: PackFolder) -> None:
    pack.write("actions/x.py", "")
    host = dataclasses.replace(pack.host, python="/nowhere/python")

    outcome = run(pack.job("core.python", "x.py"), Control(), host)

    assert outcome.status == "failed"
    assert "/nowhere/python" in outcome.result["error"]


def test_node_finds_the_modules_of_its_pack(pack: PackFolder) -> None:
    pack.write("node_modules/dep/index.js", "module.exports = 'vendored'")
    pack.write("actions/x.js", "console.log(require('dep'))")

    assert pack.run("nodejs", "x.js").result.get("stdout") == "vendored\n"


def test_node_that_is_missing_fails(pack: PackFolder) -> None:
    pack.write("actions/x.js", "")
    host = dataclasses.replace(pack.host, node="/nowhere/node")

    outcome = run(pack.job("core.node", "x.js"), Control(), host)

    assert outcome.result["error"] == "core.node needs /nowhere/node, which this host does not have"


def test_a_file_that_is_not_executable_says_how_to_make_it_so(pack: PackFolder) -> None:
    pack.write("actions/tool", "#!/bin/bash\necho hi")

    outcome = pack.run("native", "tool")

    assert outcome.result["error"] == "actions/tool is not executable: chmod +x makes it so"


def test_a_file_that_no_system_can_execute_fails(pack: PackFolder) -> None:
    pack.write("actions/tool", "\x00\x01 neither a program nor a script", 0o755)

    outcome = pack.run("native", "tool")

    assert outcome.status == "failed"


@pytest.mark.parametrize(
    ("alias", "ref"),
    [
        ("shell", "core.shell"),
        ("bash", "core.shell"),
        ("sh", "core.shell"),
        ("python", "core.python"),
        ("python3", "core.python"),
        ("node", "core.node"),
        ("nodejs", "core.node"),
        ("native", "core.native"),
        ("builtin", "core.builtin"),
    ],
)
def test_aliases_are_those_of_the_contract(alias: str, ref: str) -> None:
    assert runner_for(alias) is RUNNERS[ref]


def test_an_entrypoint_is_checked_as_a_file() -> None:
    assert RUNNERS["core.node"].check("x.js", None) == "there is no file actions/x.js"


def test_each_runtime_is_a_folder_and_registered() -> None:
    folders = {path.parent.name for path in Path(runners.__file__).parent.glob("*/runner.py")}

    assert folders == {name_of(ref) for ref in RUNNERS}


@pytest.mark.parametrize("ref", RUNNERS)
def test_the_core_pack_names_the_same_aliases(ref: str) -> None:
    declared = yaml.safe_load((INSTALLED / f"runtimes/{name_of(ref)}.yaml").read_text())

    assert (declared["ref"], declared["name"]) == (ref, name_of(ref))
    assert tuple(declared["aliases"]) == RUNNERS[ref].aliases
